"""A network between members and a node, as a process: it delays, it cuts, it lets through.

    python scripts/crash_proxy.py 127.0.0.1:7500 127.0.0.1:7400 control.json

The file holds {"delay": seconds before each chunk is passed on, "cut": a number; when it changes, every connection is cut}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

POLL_SECONDS = 0.02


class Proxy:
    """Its open connections and what the file says."""

    def __init__(self, target: str, control: Path) -> None:
        self._host, _, self._port = target.rpartition(":")
        self._control = control
        self._said = json.loads(control.read_text())
        self._open: set[asyncio.StreamWriter] = set()

    async def follow(self) -> None:
        """Reads the file again and again."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            said = json.loads(self._control.read_text())
            if said["cut"] != self._said["cut"]:
                for writer in self._open:
                    writer.transport.abort()
            self._said = said

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One member's connection, and its own to the node."""
        try:
            onward_reader, onward = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, onward}
        try:
            await asyncio.gather(self._pump(reader, onward), self._pump(onward_reader, writer))
        finally:
            self._open -= {writer, onward}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._said["delay"]:
                    await asyncio.sleep(self._said["delay"])
                writer.write(data)
                await writer.drain()
        writer.close()


async def main(listen: str, target: str, control: str) -> None:
    """Serves until it is killed."""
    host, _, port = listen.rpartition(":")
    proxy = Proxy(target, Path(control))
    async with await asyncio.start_server(proxy.connected, host, int(port)) as server:
        print(f"proxy listening on {listen}", flush=True)
        await asyncio.gather(server.serve_forever(), proxy.follow())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
