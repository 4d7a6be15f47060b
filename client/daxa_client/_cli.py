"""``daxa-client``: look verdicts up, watch them, verify them and follow the log, from a shell.

One JSON object a line; a refusal is one line and exit code 2. What is printed on standard output holds the member's own raw
keys, because they are what its operator asked about; with ``--envelope`` it is what the registry signed, and nothing raw.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from daxa_core.envelope import Envelope, SigningKey
from daxa_core.errors import ConfigurationError, CryptoError, DaxaError, ErrorCode, Unavailable
from daxa_core.model import Verdict
from daxa_core.note import Witness

from . import texts
from ._client import RegistryClient
from ._config import is_auditors, read_config, read_verification_keys
from ._host_commands import COMMANDS, add_to, run
from ._leak_commands import add_to as add_leak
from ._log import Auditor, LogEntry


def _line(verdict: Verdict, key: str | None, *, envelope: bool = False) -> str:
    if envelope:
        return verdict.envelope.to_json() if verdict.envelope is not None else ""
    reasons = [
        {"code": r.code, "contribution": r.contribution, "count": r.count.name} | ({"hour": r.hour} if r.hour else {})
        for r in verdict.reasons
    ]
    return json.dumps(
        {
            "key": key,
            "fingerprint": verdict.key.hex(),
            "level": verdict.level.name,
            "scope": verdict.scope.name,
            "deadline": verdict.deadline,
            "cause": verdict.cause.name,
            "score": round(verdict.score, 3),
            "sequence": verdict.sequence,
            "decided_at": verdict.decided_at,
            "valid_until": verdict.valid_until,
            "reasons": reasons,
        }
    )


def _sequence(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError("a sequence, 0 for all") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="daxa-client", description="The exchange's side of the shared-key registry.")
    parser.add_argument("--config", default="client.toml", help="client.toml (default: in this folder)")
    parser.add_argument(
        "--language",
        choices=texts.LANGUAGES,
        default=texts.spoken(os.environ),
        help="of what is wrong (default: by LANG)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    verdicts = commands.add_parser("verdicts", help="current verdicts of keys read from standard input, one a line")
    watch = commands.add_parser("watch", help="every change of a verdict, as it happens")
    watch.add_argument(
        "--after", type=_sequence, metavar="SEQUENCE", help="the last sequence seen (default: the cursor's)"
    )
    for command in (verdicts, watch):
        command.add_argument(
            "--envelope", action="store_true", help="print each as it was signed; a key that has none, nothing"
        )
    add_to(commands)
    add_leak(commands)
    verify = commands.add_parser(
        "verify", help="verify signed verdicts, offline: a DSSE envelope a line, as --envelope prints"
    )
    verify.add_argument("file", metavar="FILE", help="- for standard input")
    verify.add_argument("--keys", type=Path, metavar="FILE", help="verification.json (default: that of client.toml)")
    verify.add_argument(
        "--member", metavar="NAME", help="for whom they have to be (default: client.toml's; with --keys, anybody)"
    )
    verify.add_argument(
        "--any-order", action="store_true", help="take a verdict after a newer one of its key: files put together"
    )
    witness = commands.add_parser("witness-key", help="make a key to cosign the log's checkpoints with")
    witness.add_argument("name", metavar="NAME", help="such as upbit.example/witness: who cosigns")
    witness.add_argument("file", metavar="FILE", type=Path, help="where the secret goes; must not be there yet")
    audit = commands.add_parser(
        "audit", help="hold the log against its last checkpoint, and signed verdicts against the log"
    )
    audit.add_argument(
        "file", metavar="FILE", nargs="?", help="envelopes that have to stand in the log; - for standard input"
    )
    audit.add_argument("--every", type=float, metavar="SECONDS", help="go on doing so, through interruptions")
    audit.add_argument(
        "--entries", action="store_true", help="print every leaf, and hold them all against the checkpoint"
    )
    audit.add_argument(
        "--witnesses", type=int, default=0, metavar="N", help="it has to grow out of what N witnesses have cosigned"
    )
    audit.add_argument("--no-cosign", action="store_true", help="do not cosign the checkpoint")
    return parser


def _envelopes(path: str) -> Iterator[tuple[str, Envelope]]:
    """Each line's envelope, with the line's name. Raises CryptoError or ConfigurationError naming the line or the file."""
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    name = f"line {number}"
                    try:
                        yield name, Envelope.from_json(line)
                    except DaxaError as error:
                        raise error.within(name) from None
    except OSError as error:
        wanted = f"a readable file, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, Path(path).name, wanted) from None


def _verify(arguments: argparse.Namespace) -> None:
    """Needs no registry and no network: the file, and the public keys. Of one key the verdicts stand as they were decided: an
    older one after a newer one, which whoever reads to the end would take for what holds, is a replay."""
    if arguments.keys is not None:
        keys, member = read_verification_keys(arguments.keys), arguments.member
    else:
        config = read_config(arguments.config)
        keys, member = config.verification, arguments.member or config.member
    newest: dict[tuple[str, bytes], int] = {}
    for name, envelope in _envelopes(arguments.file):
        try:
            verdict = keys.verdict(envelope, member)
        except DaxaError as error:
            raise error.within(name) from None
        seen = newest.get((verdict.member, verdict.key), 0)
        if verdict.sequence < seen and not arguments.any_order:
            wanted = f"one not older than sequence {seen}, which stands before it; --any-order takes it"
            raise CryptoError(ErrorCode.REPLAYED_ENVELOPE, name, wanted)
        newest[verdict.member, verdict.key] = max(seen, verdict.sequence)
        print(_line(verdict, None))
    if not newest:  # cut down to nothing, perhaps: success would say that something held
        raise ConfigurationError(
            ErrorCode.INVALID_FILE, Path(arguments.file).name, "a signed verdict or more, got none"
        )


def _witness_key(arguments: argparse.Namespace) -> None:
    """The secret goes to the file (0600), the public half, for everybody's verification.json, to standard output."""
    witness = Witness(arguments.name, SigningKey.generate())
    try:
        descriptor = os.open(arguments.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(witness.to_text())
    except OSError as error:
        wanted = f"a file that can be made and is not there yet, got {type(error).__name__}"
        raise ConfigurationError(ErrorCode.INVALID_FILE, arguments.file.name, wanted) from None
    print(witness.verifier.vkey())


def _entry(entry: LogEntry) -> str:
    verdict = entry.verdict()
    said: dict[str, object] = {"index": entry.index, "leaf_hash": entry.leaf_hash.hex(), "event": entry.event()}
    if verdict is not None:
        said["verdict"] = json.loads(_line(verdict, None)) | {
            "member": verdict.member,
            "policy_digest": verdict.policy_digest.hex(),
            "evidence_digest": verdict.evidence_digest.hex(),
        }
    return json.dumps(said)


def _audit_once(client: RegistryClient | Auditor, arguments: argparse.Namespace) -> None:
    if isinstance(client, Auditor):
        head = client.audit(witnesses=arguments.witnesses)
    else:
        head = client.audit(cosign=not arguments.no_cosign, witnesses=arguments.witnesses)
    proved = 0
    for name, envelope in _envelopes(arguments.file) if arguments.file else ():
        try:
            client.prove(envelope)
        except DaxaError as error:
            raise error.within(name) from None
        proved += 1
    for entry in client.entries() if arguments.entries else ():
        print(_entry(entry))
    said = {"size": head.size, "root": head.root.hex(), "cosigned_by": head.cosigned_by, "proved": proved}
    print(json.dumps(said), flush=True)


def _audit(arguments: argparse.Namespace) -> None:
    auditors = is_auditors(arguments.config)
    with (Auditor if auditors else RegistryClient).from_file(arguments.config) as client:
        while True:
            try:
                _audit_once(client, arguments)
            except Unavailable as error:
                if arguments.every is None:
                    raise
                print(f"daxa-client: {texts.error(error, arguments.language)}", file=sys.stderr, flush=True)
            if arguments.every is None:
                return
            time.sleep(max(arguments.every, 0.0))


_ON_THEIR_OWN = {"verify": _verify, "audit": _audit, "witness-key": _witness_key}
"""Commands that need no member's connection, or not always."""


def _run(client: RegistryClient, arguments: argparse.Namespace) -> None:
    if arguments.command == "watch":
        for verdict in client.watch(arguments.after):
            print(_line(verdict, client.raw_key(verdict.key), envelope=arguments.envelope), flush=True)
        return
    keys = [line.strip() for line in sys.stdin if line.strip()]
    for key, verdict in client.verdicts(keys).items():
        if verdict.envelope is not None or not arguments.envelope:
            print(_line(verdict, key, envelope=arguments.envelope))


def main(argv: Sequence[str] | None = None) -> None:
    """The entry point."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command in COMMANDS:
            sys.exit(run(arguments))
        if arguments.command == "leak":
            sys.exit(arguments.run(arguments))
        if arguments.command in _ON_THEIR_OWN:
            _ON_THEIR_OWN[arguments.command](arguments)
            sys.stdout.flush()
            return
        with RegistryClient.from_file(arguments.config) as client:
            _run(client, arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read has seen enough; the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except DaxaError as error:
        print(f"daxa-client: {texts.error(error, arguments.language)}", file=sys.stderr)
        sys.exit(2)
