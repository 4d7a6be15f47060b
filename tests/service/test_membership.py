"""Who takes part is in the log: the members, and each authority with the ids it may vouch for; when it changes, and once."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from daxa_registry.bootstrap import open_store
from daxa_registry.keys.credentials import RELOAD_SECONDS, Credentials, OutsideAuthority, TlsFiles
from daxa_registry.keys.files import replace_file
from daxa_registry.keys.pki import Authority
from daxa_registry.service.membership import Membership
from daxa_registry.store.interface import EVERYBODY, Store

NOW = 1_800_000_000
OURS, THEIRS, OTHER = (Authority.create("daxa.kr") for _ in range(3))


def fingerprint(authority: Authority) -> str:
    return x509.load_pem_x509_certificate(authority.certificate).fingerprint(SHA256()).hex()


@pytest.fixture
def store() -> Iterator[Store]:
    made = open_store(":memory:")
    yield made
    made.close()


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """A registry's own."""
    issued = OURS.issue("registry", ["127.0.0.1"])
    for name, data in (("ca", OURS.certificate), ("cert", issued.certificate), ("key", issued.key)):
        (tmp_path / f"{name}.pem").write_bytes(data)
    return TlsFiles(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")


def with_outside(files: TlsFiles, *ids: str) -> TlsFiles:
    path = files.ca.with_name("theirs.pem")
    path.write_bytes(THEIRS.certificate)
    return TlsFiles(files.ca, files.certificate, files.key, None, (OutsideAuthority(path, frozenset(ids)),))


def start(store: Store, files: TlsFiles, members: Sequence[str]) -> Membership:
    """What a registry does when it starts."""
    made = Membership(store, members, Credentials(files), lambda: NOW)
    made.note()
    return made


def logged(store: Store) -> list[dict[str, Any]]:
    """What the log says of membership, from the first on."""
    leaves = [leaf for leaf in store.leaves(0, 100) if leaf.event == "members"]
    assert all(leaf.audience == EVERYBODY for leaf in leaves)
    return [json.loads(leaf.body)["detail"] for leaf in leaves]


def test_members_that_come_and_go_are_logged_when_the_registry_starts(store: Store, files: TlsFiles) -> None:
    """A start with the same members, in whatever order, adds nothing."""
    for members in (["upbit", "korbit"], ["korbit", "upbit"], ["upbit", "gopax", "korbit"], ["gopax"], ["gopax"]):
        start(store, files, members)
    assert [entry["names"] for entry in logged(store)] == [["korbit", "upbit"], ["gopax", "korbit", "upbit"], ["gopax"]]


def test_an_outside_authority_is_logged_with_its_fingerprint_and_what_it_may_vouch_for(
    store: Store, files: TlsFiles
) -> None:
    """When it comes, when it gets another id, when it goes; the deployment's own, which vouches for everybody, beside it."""
    own = {"sha256": fingerprint(OURS), "ids": None}
    for ids in (["member/upbit"], ["member/upbit", "auditor/fss"]):
        start(store, with_outside(files, *ids), ["upbit"])
        theirs = {"sha256": fingerprint(THEIRS), "ids": sorted(ids)}
        wanted = sorted([own, theirs], key=lambda one: str(one["sha256"]))
        assert logged(store)[-1] == {"names": ["upbit"], "authorities": wanted}
    start(store, files, ["upbit"])
    assert logged(store)[-1] == {"names": ["upbit"], "authorities": [own]}
    assert len(logged(store)) == 3


def test_an_authority_that_is_replaced_while_the_registry_runs_is_logged(store: Store, files: TlsFiles) -> None:
    """No restart: from then on it is believed, so from then on it stands in the log; looking again adds nothing."""
    now = [0.0]
    files = with_outside(files, "member/upbit")
    running = Membership(store, ["upbit"], Credentials(files, lambda: now[0]), lambda: NOW)
    running.note()
    replace_file(files.outside[0].ca, OTHER.certificate)
    for _ in range(3):
        now[0] += RELOAD_SECONDS
        running.note()
    assert len(logged(store)) == 2
    assert {"sha256": fingerprint(OTHER), "ids": ["member/upbit"]} in logged(store)[1]["authorities"]


def test_an_authority_that_was_believed_between_two_looks_is_logged(store: Store, files: TlsFiles) -> None:
    """It is swapped in, somebody connects, and it is swapped out again before the registry writes down who is believed."""
    now = [0.0]
    files = with_outside(files, "member/upbit")
    credentials = Credentials(files, lambda: now[0])
    running = Membership(store, ["upbit"], credentials, lambda: NOW)
    running.note()
    for authority in (OTHER, THEIRS):
        replace_file(files.outside[0].ca, authority.certificate)
        now[0] += RELOAD_SECONDS
        credentials.current()  # a handshake
    running.note()
    believed = [{one["sha256"] for one in entry["authorities"]} - {fingerprint(OURS)} for entry in logged(store)]
    assert believed == [{fingerprint(one)} for one in (THEIRS, OTHER, THEIRS)]


def test_what_was_not_written_is_written_later(store: Store, files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away for a moment costs no entry."""
    running = Membership(store, ["upbit"], Credentials(files), lambda: NOW)

    def away(*_: object) -> None:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append_leaf", away)
        with pytest.raises(OSError, match="away"):
            running.note()
    assert logged(store) == []
    running.note()
    assert [entry["names"] for entry in logged(store)] == [["upbit"]]


def test_several_nodes_that_start_together_log_it_once(files: TlsFiles, postgres_url: str) -> None:
    """Each looks under the turn to write whether it is there already; with the next configuration too."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(contextlib.closing(open_store(postgres_url))) for _ in range(3)]
        for members in (["upbit"], ["upbit", "korbit"]):
            threads = [threading.Thread(target=start, args=(node, files, members)) for node in nodes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert [entry["names"] for entry in logged(nodes[0])] == [["upbit"], ["korbit", "upbit"]]
