"""The commands that run on a member's host: ``doctor``, ``ship``, ``sidecar``, ``enroll``.

What they print is for a person, but for ``ship``, which prints nothing unless something is wrong. No raw key is printed.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from daxa_core.errors import ConfigurationError, ErrorCode

from ._config import read_config
from ._doctor import examine
from ._follow import LogFollower
from ._gateway import Gateway
from ._request_log import RequestLog
from ._sidecar import Sidecar, SidecarConfig
from .texts import message

COMMANDS = ("doctor", "ship", "sidecar", "enroll")
DRAIN_SECONDS = 3_600.0


def add_to(commands: Any) -> None:
    """Adds the commands to the parser of ``daxa-client``."""
    commands.add_parser("doctor", help="check everything that would make this member match nobody; says what to mend")
    ship = commands.add_parser("ship", help="sightings out of an access log of JSON lines")
    ship.add_argument("file", type=Path, metavar="FILE")
    ship.add_argument("--follow", action="store_true", help="go on with what is appended, across rotation and restarts")
    sidecar = commands.add_parser(
        "sidecar", help="take sightings on Unix sockets: gRPC, Envoy's access log, JSON lines"
    )
    sidecar.add_argument("--grpc", type=Path, metavar="SOCKET", help="SidecarService and Envoy's access-log service")
    sidecar.add_argument("--lines", type=Path, metavar="SOCKET", help="lines of JSON")
    sidecar.add_argument("--mode", type=_mode, default=0o600, help="of the sockets (default: 600)")
    sidecar.add_argument("--ja4-header", default="", metavar="NAME", help="a logged header where Envoy has put the JA4")
    for command in (ship, sidecar):
        command.add_argument("--exchange", required=True, help="whose format the requests have")
        command.add_argument(
            "--trusted-proxy", action="append", default=[], metavar="NETWORK", help="whose forwarded header is believed"
        )
        command.add_argument("--forwarded-header", default="x-forwarded-for", metavar="NAME")
        command.add_argument("--prefix", default="", help="cut off paths before they are read")
    enroll = commands.add_parser("enroll", help="make a key and a certificate request for the registry to sign")
    enroll.add_argument("member", help="this member's name at the registry")
    enroll.add_argument("--trust-domain", required=True, metavar="DOMAIN", help="the registry's")
    enroll.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where key.pem and request.pem go")


def run(arguments: argparse.Namespace) -> int:
    """Runs one; its exit code. Raises DaxaError."""
    return {"doctor": _doctor, "ship": _ship, "sidecar": _sidecar, "enroll": _enroll}[arguments.command](arguments)


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0o600 <= mode <= 0o777:
        raise argparse.ArgumentTypeError("three octal digits, such as 660")
    return mode


def _doctor(arguments: argparse.Namespace) -> int:
    ill = 0
    for finding in examine(read_config(arguments.config), arguments.language):
        ill += not finding.well
        mark = "ok  " if finding.well else "MEND"
        print(
            f"{mark} {finding.check}: {'; '.join(part for part in (finding.told, finding.problem) if part)}", flush=True
        )
        if finding.mend:
            print(f"       {finding.mend}", flush=True)
    return 1 if ill else 0


def _ship(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    with Gateway(config, flushes=False) as gateway:
        log = RequestLog(
            gateway, arguments.exchange, arguments.trusted_proxy, arguments.forwarded_header, arguments.prefix
        )
        follower = LogFollower(arguments.file, gateway, log, config.account_secret)
        _until_told(follower.stop)
        follower.run(arguments.follow)
        if arguments.follow:
            return 0
        sent = gateway.drain(DRAIN_SECONDS)
    if follower.refused:
        print(f"{message('NO_RECORDS', arguments.language)}: {follower.refused}/{follower.read}", file=sys.stderr)
    if not sent:
        print(message("NOT_ALL_SENT", arguments.language), file=sys.stderr)
    return 0 if sent else 1


def _sidecar(arguments: argparse.Namespace) -> int:
    over = threading.Event()
    config = SidecarConfig(
        arguments.exchange, arguments.grpc, arguments.lines, tuple(arguments.trusted_proxy), arguments.forwarded_header,
        arguments.prefix, arguments.mode, arguments.ja4_header,
    )  # fmt: skip
    with Gateway(read_config(arguments.config)) as gateway:
        gateway.verdict("")  # it leads and watches from now on, not from the first sighting
        with Sidecar(gateway, config):
            _until_told(over.set)
            print("listening", flush=True)
            over.wait()
    return 0


def _until_told(stop: Any) -> None:
    """Calls ``stop`` at SIGTERM or SIGINT, so that what was taken is on the disk before the process ends."""
    told: queue.SimpleQueue[int] = queue.SimpleQueue()

    def stopping(number: int, frame: FrameType | None) -> None:
        # Not stop() itself: a handler may come while its thread holds the lock that an event's set() waits for.
        told.put(number)

    def run() -> None:
        told.get()
        stop()

    threading.Thread(target=run, name="daxa-told", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopping)


def _enroll(arguments: argparse.Namespace) -> int:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    identity = f"spiffe://{arguments.trust_domain}/member/{arguments.member}"
    try:
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, arguments.member)]))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=False)
            .sign(key, hashes.SHA256())
        )
    except ValueError:
        raise ConfigurationError(ErrorCode.INVALID_CONFIGURATION, "member", "a name that fits a certificate") from None
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        arguments.out.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Never over a key that is there: the certificate in use may be its.
        for name, data, mode in (("key.pem", secret, 0o600), ("request.pem", request.public_bytes(pem), 0o644)):
            descriptor = os.open(arguments.out / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
    except OSError as error:
        wanted = f"a folder without key.pem and request.pem that can be written to, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, "out", wanted) from None
    print(f"{arguments.out / 'request.pem'}: send it to the registry's operator, who answers with cert.pem")
    print(f"{arguments.out / 'key.pem'}: keep it here; it is read by its owner alone")
    return 0
