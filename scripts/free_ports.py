"""Ports for servers that are told where to listen before they do.

A port that the system gives to whoever asks for any is anybody's again until the server listens: another server's, or the near
end of any connection. These are none that the system gives, and no two processes that ask here are told the same.

>>> one, two = free_ports(2)
>>> one == two
False
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

FIRST = 10_000
BLOCK = 200
"""Ports that a process has to itself as long as it lives; then it begins again at the first of them."""
_GIVEN_TO_ANYBODY = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(number: int) -> list[int]:
    """That many ports that nobody listens on, nor will before this process or one that it started does."""
    return list(itertools.islice(filter(_is_free, _turn(os.getpid())), number))


def free_pair(apart: int) -> tuple[int, int]:
    """Two such ports with so many numbers between them, less than :data:`BLOCK`."""
    block = _block(os.getpid())
    pairs = ((port, port + apart) for port in _turn(os.getpid()) if port + apart in block)
    return next(pair for pair in pairs if all(map(_is_free, pair)))


def _is_free(port: int) -> bool:
    with socket.socket() as tried, suppress(OSError):
        tried.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: a connection that ended is no obstacle
        tried.bind(("127.0.0.1", port))
        return True
    return False


@cache
def _turn(process: int) -> Iterator[int]:
    return itertools.cycle(_block(process))


@cache
def _block(process: int) -> range:
    """The ports of a process: it holds the lock on their file until it ends, however it does."""
    end = 32_768
    with suppress(OSError, ValueError):
        end = max(int(_GIVEN_TO_ANYBODY.read_text().split()[0]), FIRST + BLOCK)
    folder = Path(tempfile.gettempdir()) / f"daxa-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for start in range(FIRST, end - BLOCK + 1, BLOCK):
        held = os.open(folder / str(start), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
        else:
            return range(start, start + BLOCK)
    raise RuntimeError("all ports are in use")
