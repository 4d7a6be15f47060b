"""The processes that share a state folder: each has a name, and the others can tell whether it still lives.

It lives as long as it holds the lock on a file of its name: the kernel lets go of that however the process ends. A child process
begins under a name of its own.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

from daxa_core.errors import ErrorCode, Unavailable

_NAME_BYTES = 8
_FILES = "worker-*.lock"


class Worker:
    """This process among those of a folder. One thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Makes nothing yet."""
        self._folder = folder
        self.name = secrets.token_bytes(_NAME_BYTES)
        self._lock: int | None = None

    def begin(self) -> None:
        """From now on it can be seen to live. Raises Unavailable."""
        try:
            while self._lock is None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = os.open(self._file(self.name), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    # Who found it without its lock, a moment ago, may have removed it.
                    if os.stat(self._file(self.name)).st_ino == os.fstat(lock).st_ino:
                        self._lock, lock = lock, -1
                except FileNotFoundError:
                    continue
                finally:
                    if lock >= 0:
                        os.close(lock)
        except OSError as error:
            wanted = f"a folder that can be written to, got {type(error).__name__}"
            raise Unavailable(ErrorCode.UNAVAILABLE, "gateway.state", wanted) from None

    def end(self) -> None:
        """It leaves nothing behind that others would have to see to."""
        if self._lock is not None:
            with suppress(OSError):
                self._file(self.name).unlink(missing_ok=True)
        self.leave()

    def leave(self) -> None:
        """In a child process: the parent holds the lock on."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def lives(self, name: bytes) -> bool:
        """Whether the process of that name is still there."""
        return self._held(self._file(name))

    def sweep(self) -> None:
        """Removes the files of those that are not."""
        for path in self._folder.glob(_FILES):
            if not self._held(path):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _file(self, name: bytes) -> Path:
        return self._folder / _FILES.replace("*", name.hex())

    def _held(self, path: Path) -> bool:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:  # it cannot be looked at now
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False
