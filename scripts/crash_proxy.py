"""A network as a process: links that delay, that cut, that let through.

    python scripts/crash_proxy.py control.json 127.0.0.1:7500=127.0.0.1:7400 127.0.0.1:7501=/run/postgresql/.s.PGSQL.5432

Each link is where it listens and where it leads: an address, or the path of a socket. The file holds {"delay": seconds before
each chunk is passed on, "cut": a number; when it changes, every connection is cut}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

POLL_SECONDS = 0.02
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Network:
    """Its open connections and what the file says."""

    def __init__(self, control: Path) -> None:
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

    async def listen(self, link: str) -> asyncio.Server:
        """Opens a link."""
        here, _, there = link.partition("=")
        host, _, port = here.rpartition(":")

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                onward_reader, onward = await _connect(there)
            except OSError:
                writer.transport.abort()
                return
            self._open |= {writer, onward}
            try:
                await asyncio.gather(self._pump(reader, onward), self._pump(onward_reader, writer))
            finally:
                self._open -= {writer, onward}

        return await asyncio.start_server(connected, host, int(port))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._said["delay"]:
                    await asyncio.sleep(self._said["delay"])
                writer.write(data)
                await writer.drain()
        writer.close()


async def _connect(target: str) -> Streams:
    if target.startswith("/"):
        return await asyncio.open_unix_connection(target)
    host, _, port = target.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def main(control: str, *links: str) -> None:
    """Serves until it is killed."""
    network = Network(Path(control))
    for link in links:
        await network.listen(link)
    print("the network is there", flush=True)
    await network.follow()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
