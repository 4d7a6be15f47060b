"""Signed verdicts and the log over the whole path: real processes, mutual TLS, both commands, kills and a rotation between."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import deployment
from daxa_api.v1 import audit_pb2, audit_pb2_grpc
from daxa_client import Cause, CryptoError, Device, ErrorCode, Level, RawSighting, RegistryClient
from daxa_client._cli import main
from daxa_core import codec, merkle
from daxa_core.envelope import EVENT_TYPE, Envelope, pae
from daxa_core.note import read_checkpoint
from daxa_core.verification import VerificationKeys
from daxa_registry.keys.authority_folder import AuthorityFolder

HOUR = int(time.time()) // 3_600
STACK = Device("ccxt/4.4.98 (python)", "t13d1516h2_8daaf6152771_02713d6af862")
KEYS = 8


def ring(exchange: str, address: str = "211.234.10.7") -> list[RawSighting]:
    """One operator's server behind many people's keys, all of them in the same irregular hours."""
    hours = [h for h in range(96) if h * 7 % 5 < 2]
    return [
        RawSighting(
            f"{exchange}-key-{i}", address, HOUR - h, device=STACK, account=f"{i}", holder=f"{exchange} {i}".encode()
        )
        for i in range(KEYS)
        for h in hours
    ]


class World:
    """One evaluator, a registry, two members with verdicts, an auditor."""

    def __init__(self, root: Path) -> None:
        self.folder = deployment.deploy(root / "deployment", threshold=1, evaluators=1)
        self.configuration = self.folder / "registry/registry.toml"
        self.evaluator = deployment.Process("evaluator", self.folder / "evaluators/1/evaluator.toml")
        self.registry = deployment.Process("serve", self.configuration)
        issued = AuthorityFolder.open(self.folder / "ca").issue("auditor/fss", [], by="test")
        self.auditor = self.folder / "auditor"
        self.auditor.mkdir()
        for name, data in (
            ("cert", issued.certificate), ("key", issued.key), ("ca", (self.folder / "ca/ca.pem").read_bytes())
        ):  # fmt: skip
            (self.auditor / f"{name}.pem").write_bytes(data)
        (self.auditor / "verification.json").write_bytes((self.folder / "registry/verification.json").read_bytes())
        (self.auditor / "auditor.toml").write_text(
            f'auditor = "fss"\n[registry]\ntargets = ["{deployment.target_of(self.configuration)}"]\n'
            '[tls]\nca = "ca.pem"\ncertificate = "cert.pem"\nkey = "key.pem"\n'
            '[verification]\nkeys = "verification.json"\ncheckpoint = "checkpoint"\n'
        )

    def again(self) -> None:
        """Kills the registry and starts it."""
        self.registry.kill()
        self.registry = deployment.Process("serve", self.configuration)

    def client(self, member: str) -> RegistryClient:
        return RegistryClient.from_file(self.folder / "members" / member / "client.toml")

    def toml(self, member: str) -> str:
        return str(self.folder / "members" / member / "client.toml")

    def entries(self, peer: Path) -> list[audit_pb2.Entry]:
        """Every leaf, as that peer may see it, a few at a time."""
        out: list[audit_pb2.Entry] = []
        with deployment.channel(peer, self.configuration) as channel:
            stub = audit_pb2_grpc.AuditServiceStub(channel)
            while page := stub.ListEntries(audit_pb2.ListEntriesRequest(start=len(out), limit=7)).entries:
                out += page
        return out

    def command(self, *arguments: str | Path) -> tuple[int, str]:
        """``daxa-registry``: its exit code and all that it said."""
        done = subprocess.run(
            [sys.executable, "-c", "from daxa_registry.cli import main; main()", *map(str, arguments)],
            capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("audit"))
    try:
        with made.client("upbit") as upbit, made.client("bithumb") as bithumb:
            upbit.submit(ring("upbit"))
            bithumb.submit(ring("bithumb"))
        yield made
    finally:
        made.registry.kill()
        made.evaluator.kill()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """``daxa-client``, which has to succeed: the lines that it printed."""
    main(list(arguments))
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_a_member_keeps_verifies_offline_and_in_the_log(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdicts as they were signed, in a file: verified with the public keys alone, and proved under an audited checkpoint."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"upbit-key-{n}\n" for n in range(KEYS)) + "never-seen\n"))
    main(["--config", world.toml("upbit"), "verdicts", "--envelope"])
    text = capsys.readouterr().out
    assert len(text.splitlines()) == KEYS
    assert "upbit-key" not in text
    kept = tmp_path / "verdicts.jsonl"
    kept.write_text(text)
    public = tmp_path / "verification.json"
    public.write_bytes((world.folder / "members/upbit/verification.json").read_bytes())
    monkeypatch.chdir(tmp_path)  # no client.toml, no certificate, no network
    verified = run(capsys, "verify", "verdicts.jsonl", "--keys", "verification.json", "--member", "upbit")
    assert sorted(verdict["sequence"] for verdict in verified) == list(range(1, KEYS + 1))
    [audited] = run(capsys, "--config", world.toml("upbit"), "audit", str(kept))
    assert audited["proved"] == KEYS
    first, second, *_ = [json.loads(line) for line in text.splitlines()]
    signed_again = json.dumps(first | {"signatures": second["signatures"]})
    for damaged, code, line in (
        (signed_again, "INVALID_SIGNATURE", "line 1"),
        (text[:-30], "INVALID_ENVELOPE", "line"),
        (text.replace('"payload": "', '"payload": "AAAA', 1), "INVALID_ENVELOPE", "line 1"),
        (text.replace('"signatures": [{', '"signatures": [], "was": [{', 1), "UNSIGNED_ENVELOPE", "line 1"),
    ):
        kept.write_text(damaged)
        with pytest.raises(SystemExit) as ended:
            main(["verify", "verdicts.jsonl", "--keys", "verification.json"])
        said = capsys.readouterr().err
        assert (ended.value.code, said.startswith(f"daxa-client: {code}: {line}")) == (2, True), said
    kept.write_text(text)
    with pytest.raises(SystemExit):
        main(["verify", "verdicts.jsonl", "--keys", "verification.json", "--member", "bithumb"])
    assert "FOREIGN_ENVELOPE: line 1.payload.member" in capsys.readouterr().err


def test_an_auditor_rebuilds_the_tree_and_a_member_sees_its_own(world: World) -> None:
    """The root of what the auditor downloads is the checkpoint's; a member's view has the same hashes and fewer contents."""
    keys = VerificationKeys.from_json((world.folder / "registry/verification.json").read_text())
    whole, own = world.entries(world.auditor), world.entries(world.folder / "members/upbit")
    frontier = merkle.Frontier()
    for entry in whole:
        assert entry.leaf_hash == merkle.leaf_hash(pae(entry.payload_type, entry.payload))
        frontier.append(entry.leaf_hash)
    with deployment.channel(world.auditor, world.configuration) as channel:
        note = audit_pb2_grpc.AuditServiceStub(channel).GetCheckpoint(audit_pb2.GetCheckpointRequest()).checkpoint
    assert read_checkpoint(note, keys.log).root == frontier.root()
    assert [e.leaf_hash for e in own] == [e.leaf_hash for e in whole]
    told = [e for e in own if e.payload]
    assert len(told) < len(whole)
    assert {codec.decode_verdict(e.payload).member for e in told if e.payload_type != EVENT_TYPE} == {"upbit"}
    events = [json.loads(e.payload)["kind"] for e in told if e.payload_type == EVENT_TYPE]
    assert events[:3] == ["verdict-keys", "policy", "members"]


def test_the_auditors_command_prints_the_whole_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Every leaf with its content in order, then the head; a member's has the same hashes, and nothing of another member."""
    *whole, head = run(capsys, "--config", str(world.auditor / "auditor.toml"), "audit", "--entries")
    *own, _ = run(capsys, "--config", world.toml("bithumb"), "audit", "--entries", "--no-cosign")
    assert [leaf["index"] for leaf in whole] == list(range(head["size"]))
    assert all(leaf["event"] or leaf["verdict"] for leaf in whole)
    assert [leaf["leaf_hash"] for leaf in own] == [leaf["leaf_hash"] for leaf in whole]
    assert {leaf["verdict"]["member"] for leaf in own if "verdict" in leaf} == {"bithumb"}
    assert {leaf["verdict"]["member"] for leaf in whole if "verdict" in leaf} == {"upbit", "bithumb"}


def test_the_log_goes_on_across_a_kill_and_members_cosign_it(world: World) -> None:
    """The same log after a restart, held against the checkpoint that was kept; two witnesses make a cosigned head."""
    with world.client("upbit") as upbit, world.client("bithumb") as bithumb:
        before = upbit.audit()
        world.again()
        with world.client("bithumb") as other:
            other.submit(ring("bithumb", "211.234.10.9"))
        upbit.audit()
        bithumb.audit()
        after = upbit.audit()
        assert after.size >= before.size
        assert set(after.cosigned_by) == {"upbit.daxa.kr/witness", "bithumb.daxa.kr/witness"}
    with deployment.channel(world.auditor, world.configuration) as channel:
        stub = audit_pb2_grpc.AuditServiceStub(channel)
        request = audit_pb2.GetCheckpointRequest(cosignatures=2)
        assert stub.GetCheckpoint(request).checkpoint.count("/witness ") == 2
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(cosignatures=3))
        assert deployment.told(caught.value).code == "NOT_FOUND"
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetInclusionProof(audit_pb2.GetInclusionProofRequest(leaf_index=2**64 - 1, tree_size=5))
        assert deployment.told(caught.value).field == "leaf_index"
    with (
        deployment.channel(world.folder / "operators/daxa", world.configuration) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        audit_pb2_grpc.AuditServiceStub(channel).GetCheckpoint(audit_pb2.GetCheckpointRequest())
    assert deployment.told(caught.value).code == "PERMISSION_DENIED"


def test_a_correction_is_an_event_and_a_leaf(world: World) -> None:
    """Both members take back what they sent: every verdict that rested on it falls, by a verdict of its own that is logged."""
    with world.client("upbit") as upbit, world.client("bithumb") as bithumb:
        before = upbit.audit()
        keys = [f"upbit-key-{n}" for n in range(KEYS)]
        assert all(verdict.level > Level.CLEAR for verdict in upbit.verdicts(keys).values())
        for n in range(KEYS):
            bithumb.withdraw(f"bithumb-key-{n}")
            upbit.withdraw(f"upbit-key-{n}")
        fallen = upbit.verdicts(keys)
        assert {verdict.level for verdict in fallen.values()} == {Level.CLEAR}
        after = upbit.audit()
        for verdict in fallen.values():
            assert before.size <= verdict.log_index < after.size
            assert verdict.envelope is not None
            assert upbit.prove(verdict.envelope).cause in (Cause.FELL, Cause.CORRECTED)


def test_a_rotation_is_taken_by_whoever_has_the_new_file(world: World, tmp_path: Path) -> None:
    """Without it the new key's verdicts are refused, with it all are good; the log tells who made which key."""
    member = world.folder / "members/upbit"
    code, said = world.command("signing-key", "rotate", world.folder / "registry", "--overlap-days", "0", "--by", "kim")
    assert (code, "nothing was changed" in said) == (0, True)
    code, said = world.command(
        "signing-key", "rotate", world.folder / "registry", "--overlap-days", "0", "--by", "kim", "--yes"
    )
    assert code == 0, said
    world.again()
    old = (member / "verification.json").read_text()
    with world.client("upbit") as upbit:
        result = upbit.submit([RawSighting(s.key + "n", "211.234.10.8", s.hour, device=STACK, account=s.account + "n",
                                           holder=(s.holder or b"") + b"n") for s in ring("upbit")])  # fmt: skip
        assert [error.code for error in result.distrusted[:1]] == [ErrorCode.FOREIGN_ENVELOPE]
        assert result.verdicts == {}
        with pytest.raises(CryptoError):
            list(upbit.watch(0))
        (member / "verification.json").write_text("{")
        with pytest.raises(CryptoError):
            list(upbit.watch(0))
        (member / "verification.json").write_bytes((world.folder / "registry/verification.json").read_bytes())
        assert next(iter(upbit.watch(0))).sequence == 1, "a file that was replaced is taken up by a client that runs"
        assert upbit.verdicts([f"upbit-key-{n}n" for n in range(KEYS)])
    with world.client("upbit") as upbit:
        assert next(iter(upbit.watch(0))).sequence == 1
        found = upbit.verdicts([f"upbit-key-{n}n" for n in range(KEYS)] + ["upbit-key-0"])
        signers = {v.envelope.signatures[0].key_id for v in found.values() if isinstance(v.envelope, Envelope)}
        assert len(signers) == 2
    assert old != (member / "verification.json").read_text()
    events = [json.loads(e.payload) for e in world.entries(member) if e.payload_type == EVENT_TYPE]
    made_by = [key["by"] for event in events if event["kind"] == "verdict-keys" for key in event["detail"]["keys"]]
    assert made_by == ["", "", "kim"]


def test_audit_verify_passes_and_then_names_the_leaf(world: World, tmp_path: Path) -> None:
    """The command on the running registry's database; then on a copy of it in which one verdict was changed."""
    checkpoint = world.folder / "members/upbit/data/checkpoint"
    code, said = world.command("audit", "verify", world.configuration, "--checkpoint", checkpoint)
    assert (code, "leaves fit" in said) == (0, True), said
    copy = tmp_path / "registry"
    copy.mkdir()
    for name in ("parameters.json", "verification.json", "signing.json", "ca.pem", "cert.pem", "key.pem", "crl.pem"):
        if (source := world.folder / "registry" / name).exists():
            (copy / name).write_bytes(source.read_bytes())
    (copy / "data").mkdir()
    (copy / "registry.toml").write_text(world.configuration.read_text())
    with (
        sqlite3.connect(world.folder / "registry/data/registry.sqlite") as source,
        sqlite3.connect(copy / "data/registry.sqlite") as target,
    ):
        source.backup(target)
        target.execute("UPDATE verdict SET evidence=x'00' WHERE member=1 AND sequence=2")
        [(index,)] = target.execute("SELECT idx FROM leaf WHERE audience=1 AND sequence=2").fetchall()
    code, said = world.command("audit", "verify", copy / "registry.toml")
    assert code == 1
    assert said.startswith(f"leaf {index}: the stored evidence is not what its verdict commits to")
