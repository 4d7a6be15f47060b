"""A registry's node whose clock steps and whose disk is full when a control file says so.

    python scripts/crash_node.py registry.toml 127.0.0.1:7400 control.json

The file holds {"clock": seconds ahead, "file_bytes": the largest file that may be written, 0 for any}.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from daxa_registry.bootstrap import registry_server
from daxa_registry.config import read_registry

POLL_SECONDS = 0.02


class Control:
    """What the file says, followed from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.ahead = 0.0
        self._follow()
        threading.Thread(target=self._every, daemon=True).start()

    def _every(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            self._follow()

    def _follow(self) -> None:
        said = json.loads(self._path.read_text())
        self.ahead = float(said["clock"])
        most = int(said["file_bytes"]) or resource.RLIM_INFINITY
        if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != most:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


async def main(configuration: str, listen: str, control: str) -> None:
    """Serves until it is killed."""
    following = Control(Path(control))
    config = replace(read_registry(Path(configuration)), listen=listen, metrics_port=None)
    async with registry_server(config, lambda: time.time() + following.ahead):
        print(f"registry listening on {listen}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
