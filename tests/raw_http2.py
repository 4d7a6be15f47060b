"""A peer that speaks HTTP/2 by the byte, so that it can do what no gRPC client does: open too many streams, give no window.

with RawPeer.connect(folder / "members/upbit", target) as peer:
    peer.open(1, "/daxa_api.v1.VerdictService/WatchVerdicts")
    peer.data(1, b"")
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE = 0, 1, 3, 4, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
MAX_CONCURRENT_STREAMS = 3
REFUSED_STREAM = (7).to_bytes(4, "big")


def tls(peer: Path) -> ssl.SSLContext:
    """A context with the certificate in a peer's folder."""
    context = ssl.create_default_context(cafile=str(peer / "ca.pem"))
    context.load_cert_chain(peer / "cert.pem", peer / "key.pem")
    context.set_alpn_protocols(["h2"])
    return context


@dataclass
class RawPeer:
    """One connection. ``frames`` are those that came: type, stream and payload; of ACKs nothing is kept."""

    socket: ssl.SSLSocket
    frames: list[tuple[int, int, bytes]] = field(default_factory=list)
    closed: bool = False
    _unread: bytes = b""

    @classmethod
    @contextlib.contextmanager
    def connect(cls, peer: Path, target: str) -> Iterator[RawPeer]:
        """Connected, both sides' settings told and acknowledged. Raises OSError where the server will not have it."""
        host, _, port = target.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=60) as plain,
            tls(peer).wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            made = cls(wrapped)
            wrapped.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            made._send(SETTINGS, 0, 0, b"")
            made.read_until(lambda: bool(made.settings()))
            if made.closed:
                raise ConnectionResetError
            made._send(SETTINGS, ACK, 0, b"")
            yield made

    def open(self, stream: int, method: str) -> None:
        """Begins a call; what it carries may come later, or never."""
        path = method.encode()
        headers = b"\x83\x87\x04" + bytes([len(path)]) + path + b"\x01\x01x"  # POST, https, path, any authority
        for name, value in ((b"te", b"trailers"), (b"content-type", b"application/grpc")):
            headers += b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
        self._send(HEADERS, END_HEADERS, stream, headers)

    def message(self, stream: int, message: bytes) -> None:
        """The one message of a call."""
        self._send(DATA, END_STREAM, stream, b"\0" + struct.pack(">I", len(message)) + message)

    def give_window(self, octets: int, stream: int = 0) -> None:
        """Takes so much more, of one stream, or (0) of all of them together."""
        self._send(WINDOW_UPDATE, 0, stream, struct.pack(">I", octets))

    def settings(self) -> dict[int, int]:
        """What the server asked for."""
        payload = b"".join(payload for kind, _, payload in self.frames if kind == SETTINGS)
        return dict(struct.unpack_from(">HI", payload, at) for at in range(0, len(payload), 6))

    def read_until(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        """Reads frames until that holds, the server closes, or so much time has passed."""
        deadline = time.monotonic() + seconds
        self.socket.settimeout(0.1)
        while not self.closed and not holds() and time.monotonic() < deadline:
            try:
                read = self.socket.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                read = b""
            self.closed = not read
            self._unread += read
            while len(self._unread) >= 9 and len(self._unread) >= 9 + int.from_bytes(self._unread[:3], "big"):
                length, kind, flags = int.from_bytes(self._unread[:3], "big"), self._unread[3], self._unread[4]
                stream, payload = int.from_bytes(self._unread[5:9], "big"), self._unread[9 : 9 + length]
                self._unread = self._unread[9 + length :]
                if not (kind == SETTINGS and flags & ACK):
                    self.frames.append((kind, stream, payload))

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.socket.sendall(
            struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
        )
