"""What bad input gets, through real gRPC with mutual TLS: its own code, the field's name, and nothing else lost."""

from __future__ import annotations

import asyncio
import datetime
import secrets
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

import deployment
from daxa_api.v1 import (
    evaluation_pb2,
    evaluation_pb2_grpc,
    sighting_pb2,
    sighting_pb2_grpc,
    types_pb2,
    verdict_pb2,
    verdict_pb2_grpc,
)
from daxa_core import group, oprf
from daxa_core.errors import ConfigurationError, ErrorCode
from daxa_registry.bootstrap import evaluator_server, registry_server
from daxa_registry.config import read_evaluator, read_registry
from daxa_registry.keys.pki import Authority
from daxa_registry.rpc.errors import STATUS, status_of, to_status
from daxa_registry.rpc.identity import RIGHTS

NOW = 1_790_000_000
HOUR = NOW // 3_600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One registry and one evaluator, in this process, at a time that stands still."""
    root = deployment.deploy(tmp_path_factory.mktemp("refusals") / "deployment", threshold=1, evaluators=1)
    clock = lambda: float(NOW)  # noqa: E731
    registry = partial(registry_server, read_registry(root / "registry/registry.toml"), clock)
    evaluator = partial(evaluator_server, read_evaluator(root / "evaluators/1/evaluator.toml"), clock)
    with deployment.in_process(registry, evaluator):
        yield root


def channel(
    folder: Path, peer: str = "members/upbit", part: str = "registry/registry.toml", **tls: bytes | None
) -> grpc.Channel:
    """A channel with a peer's certificate, or with the parts given instead."""
    target = next(line for line in (folder / part).read_text().splitlines() if line.startswith("listen")).split('"')[1]
    files = {name: (folder / peer / f"{name}.pem").read_bytes() for name in ("ca", "key", "cert")} | tls
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(files["ca"], files["key"], files["cert"]))


def element() -> bytes:
    return oprf.hash_input(secrets.token_bytes(16))


def sighting(**changed: object) -> sighting_pb2.Sighting:
    fields: dict[str, object] = {
        "key": element(), "address": element(), "network": element(), "hour": HOUR, "count": 1,
        "manner": types_pb2.MANNER_USED,
    }  # fmt: skip
    return sighting_pb2.Sighting(**(fields | changed))  # type: ignore[arg-type]


def batch(*sightings: sighting_pb2.Sighting, **changed: object) -> sighting_pb2.SubmitSightingsRequest:
    fields: dict[str, object] = {
        "batch_id": secrets.token_bytes(16), "member": "upbit", "key_version": 1, "canonical_version": 1,
        "sightings": sightings,
    }  # fmt: skip
    return sighting_pb2.SubmitSightingsRequest(**(fields | changed))  # type: ignore[arg-type]


def refusal(caught: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str, str]:
    """Status, code and field of a refused call, as its google.rpc details say."""
    status = rpc_status.from_call(caught.value)
    assert status is not None
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    field = ""
    for detail in status.details:
        if detail.Unpack(bad):
            field = bad.field_violations[0].field
        else:
            detail.Unpack(info)
    return caught.value.code(), info.reason, field


@pytest.fixture
def submit(folder: Path) -> Iterator[grpc.UnaryUnaryMultiCallable]:
    with channel(folder) as open_channel:
        yield sighting_pb2_grpc.SightingServiceStub(open_channel).SubmitSightings


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"key": b""}, "MISSING_FIELD", "key"),
        ({"address": bytes(31)}, "INVALID_LENGTH", "address"),
        ({"device": bytes(33)}, "INVALID_LENGTH", "device"),
        ({"account": bytes(15)}, "INVALID_LENGTH", "account"),
        ({"network": bytes(32)}, "IDENTITY_ELEMENT", "network"),
        ({"holder": b"\xff" * 32}, "INVALID_ELEMENT", "holder"),
        ({"hour": HOUR + 3}, "HOUR_OUT_OF_WINDOW", "hour"),
        ({"hour": HOUR - 721}, "HOUR_OUT_OF_WINDOW", "hour"),
        ({"count": 0}, "COUNT_OUT_OF_RANGE", "count"),
        ({"count": 2_000_000_000}, "COUNT_OUT_OF_RANGE", "count"),
        ({"manner": types_pb2.MANNER_DECLARED, "count": 2}, "COUNT_OUT_OF_RANGE", "count"),
        ({"manner": 0}, "UNKNOWN_MANNER", "manner"),
        ({"manner": 9}, "UNKNOWN_MANNER", "manner"),
    ],
)
def test_a_wrong_item_is_refused_alone(
    submit: grpc.UnaryUnaryMultiCallable, changed: dict[str, object], code: str, field: str
) -> None:
    """The item is told by place, code and field; the items beside it are taken."""
    answer = submit(batch(sighting(), sighting(**changed), sighting()))
    assert answer.accepted == 2
    assert [(1, code, field)] == [(r.index, r.code, r.field) for r in answer.refusals]


@pytest.mark.parametrize(
    ("changed", "status", "code", "field"),
    [
        ({"batch_id": bytes(15)}, "INVALID_ARGUMENT", "INVALID_LENGTH", "batch_id"),
        ({"member": "bithumb"}, "PERMISSION_DENIED", "MEMBER_MISMATCH", "member"),
        ({"key_version": 2}, "FAILED_PRECONDITION", "STALE_KEY_VERSION", "key_version"),
        ({"canonical_version": 9}, "FAILED_PRECONDITION", "STALE_CANONICAL_VERSION", "canonical_version"),
        ({"sightings": []}, "INVALID_ARGUMENT", "EMPTY_BATCH", "sightings"),
    ],
)
def test_a_wrong_batch_is_refused_whole(
    submit: grpc.UnaryUnaryMultiCallable, changed: dict[str, object], status: str, code: str, field: str
) -> None:
    """Ids, names and versions: each its own status, code and field."""
    with pytest.raises(grpc.RpcError) as caught:
        submit(batch(sighting(), **changed))
    assert (grpc.StatusCode[status], code, field) == refusal(caught)


def test_a_thousand_sightings_are_taken_and_one_more_is_not(submit: grpc.UnaryUnaryMultiCallable) -> None:
    """The bound of a batch is exact."""
    one = sighting()
    assert submit(batch(*[one] * 1_000)).accepted == 1_000
    with pytest.raises(grpc.RpcError) as caught:
        submit(batch(*[one] * 1_001))
    assert refusal(caught) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_ITEMS", "sightings")


def test_an_oversize_message_never_reaches_a_handler(submit: grpc.UnaryUnaryMultiCallable) -> None:
    """From 1 MiB on it has its own code; far beyond, the transport throws it away."""
    with pytest.raises(grpc.RpcError) as caught:
        submit(batch(sighting(key=bytes(1 << 20))))
    assert refusal(caught) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE", "message")
    with pytest.raises(grpc.RpcError) as caught:
        submit(batch(sighting(key=bytes(2 << 20))))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_bytes_that_are_no_message_have_a_code(folder: Path) -> None:
    """What cannot be read is refused like any other wrong value, with nothing of it in the answer."""
    with channel(folder) as open_channel, pytest.raises(grpc.RpcError) as caught:
        open_channel.unary_unary("/daxa_api.v1.SightingService/SubmitSightings")(b"\xff\xff\xff")
    assert refusal(caught) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", "message")


def test_a_batch_sent_twice_counts_once_and_other_content_is_refused(
    submit: grpc.UnaryUnaryMultiCallable, folder: Path
) -> None:
    """The same id with the same content answers the same and changes nothing; with other content it is ALREADY_EXISTS."""
    key = element()
    request = batch(sighting(key=key, count=5), sighting(count=0))
    first = submit(request)
    assert first == submit(request)
    with pytest.raises(grpc.RpcError) as caught:
        submit(batch(sighting(), batch_id=request.batch_id))
    assert refusal(caught) == (grpc.StatusCode.ALREADY_EXISTS, "BATCH_ID_REUSED", "batch_id")
    with sqlite3.connect(folder / "registry/data/registry.sqlite") as database:
        rows = database.execute(
            "SELECT p.count FROM presence p JOIN subject s ON s.id=p.subject JOIN node n ON n.id=s.key"
            " WHERE n.fingerprint=?",
            (key,),
        ).fetchall()
    assert rows == [(5,)]


def test_what_is_withdrawn_is_gone(submit: grpc.UnaryUnaryMultiCallable, folder: Path) -> None:
    """Some hours first, then all: the presence is shortened, then deleted, and withdrawing again finds nothing."""
    key = element()
    address, network = element(), element()
    hours = [sighting(key=key, address=address, network=network, hour=HOUR - h) for h in range(4)]
    assert submit(batch(*hours)).accepted == 4
    with channel(folder) as open_channel:
        withdraw = sighting_pb2_grpc.SightingServiceStub(open_channel).WithdrawSightings
        ask = partial(sighting_pb2.WithdrawSightingsRequest, key=key, key_version=1)
        assert withdraw(ask(first_hour=HOUR - 1, last_hour=HOUR)).withdrawn == 1
        assert withdraw(ask(first_hour=HOUR - 1, last_hour=HOUR)).withdrawn == 0
        assert withdraw(ask()).withdrawn == 1
        assert withdraw(ask()).withdrawn == 0
    with sqlite3.connect(folder / "registry/data/registry.sqlite") as database:
        query = "SELECT count(*) FROM presence p JOIN node n ON n.id=p.address WHERE n.fingerprint=?"
        assert database.execute(query, (address,)).fetchone() == (0,)


@pytest.mark.parametrize(
    ("kind", "version", "elements", "code", "field"),
    [
        (0, 1, [element()], "UNKNOWN_KIND", "kind"),
        (6, 1, [element()], "UNKNOWN_KIND", "kind"),
        (1, 2, [element()], "STALE_KEY_VERSION", "key_version"),
        (1, 1, [], "EMPTY_BATCH", "blinded_elements"),
        (1, 1, [element()] * 513, "TOO_MANY_ITEMS", "blinded_elements"),
        (1, 1, [element(), bytes(31)], "INVALID_LENGTH", "blinded_elements[1]"),
        (1, 1, [bytes(32), element()], "IDENTITY_ELEMENT", "blinded_elements[0]"),
        (1, 1, [element(), element(), b"\xff" * 32], "INVALID_ELEMENT", "blinded_elements[2]"),
    ],
)
def test_an_evaluator_names_what_is_wrong_and_charges_nothing(
    folder: Path, kind: int, version: int, elements: list[bytes], code: str, field: str
) -> None:
    """Bad elements, kinds and versions cost no quota."""
    with channel(folder, part="evaluators/1/evaluator.toml") as open_channel:
        stub = evaluation_pb2_grpc.EvaluationServiceStub(open_channel)
        before = stub.GetParameters(evaluation_pb2.GetParametersRequest()).kinds[0].quota_remaining
        with pytest.raises(grpc.RpcError) as caught:
            stub.Evaluate(evaluation_pb2.EvaluateRequest(kind=kind, key_version=version, blinded_elements=elements))  # type: ignore[arg-type]
        assert (code, field) == refusal(caught)[1:]
        assert before == stub.GetParameters(evaluation_pb2.GetParametersRequest()).kinds[0].quota_remaining


def test_a_cursor_of_another_registry_is_out_of_range(folder: Path) -> None:
    """A watcher that is ahead of the registry is told so, not left waiting."""
    with channel(folder) as open_channel:
        stream = verdict_pb2_grpc.VerdictServiceStub(open_channel).WatchVerdicts(
            verdict_pb2.WatchVerdictsRequest(after_sequence=10**9)
        )
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        assert refusal(caught) == (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_OUT_OF_RANGE", "after_sequence")


def test_an_operator_may_not_submit(folder: Path) -> None:
    """Rights are by role; a valid certificate of another role is not enough."""
    with channel(folder, "operators/daxa") as open_channel, pytest.raises(grpc.RpcError) as caught:
        sighting_pb2_grpc.SightingServiceStub(open_channel).SubmitSightings(batch(sighting()))
    assert refusal(caught) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", "certificate")


def _authority(folder: Path) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = x509.load_pem_x509_certificate((folder / "ca/ca.pem").read_bytes())
    key = load_pem_private_key((folder / "ca/ca.key").read_bytes(), None)
    return Authority("daxa.kr", certificate, key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ([""], "CERTIFICATE_IDENTITY"),
        (["member/Upbit!"], "CERTIFICATE_IDENTITY"),
        (["nobody/x"], "CERTIFICATE_IDENTITY"),
        (["member/upbit", "member/bithumb"], "CERTIFICATE_AMBIGUOUS"),
    ],
)
def test_a_certificate_names_exactly_one_peer(folder: Path, ids: list[str], code: str) -> None:
    """No SPIFFE id, an impossible name, an unknown role; and two ids, which are refused as that."""
    issued = _authority(folder).issue(ids[0], [], more_ids=ids[1:])
    with (
        channel(folder, key=issued.key, cert=issued.certificate) as open_channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        sighting_pb2_grpc.SightingServiceStub(open_channel).SubmitSightings(batch(sighting()))
    assert refusal(caught) == (grpc.StatusCode.UNAUTHENTICATED, code, "certificate")


def test_a_member_that_is_not_listed_is_refused_whoever_vouches_for_it(folder: Path) -> None:
    """The registry's own authority made the certificate, and the list of members does not have the name: no call is for it."""
    issued = _authority(folder).issue("member/korbit", [])
    with channel(folder, key=issued.key, cert=issued.certificate) as open_channel:
        for ask in (
            lambda: sighting_pb2_grpc.SightingServiceStub(open_channel).SubmitSightings(batch(member="korbit")),
            lambda: next(
                verdict_pb2_grpc.VerdictServiceStub(open_channel).WatchVerdicts(verdict_pb2.WatchVerdictsRequest())
            ),
            lambda: health_pb2_grpc.HealthStub(open_channel).Check(health_pb2.HealthCheckRequest()),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                ask()
            assert refusal(caught) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_A_MEMBER", "certificate")
    with sqlite3.connect(folder / "registry/data/registry.sqlite") as database:
        assert database.execute("SELECT count(*) FROM member WHERE name='korbit'").fetchone() == (0,)


def test_no_certificate_a_foreign_one_and_an_expired_one_do_not_get_in(folder: Path) -> None:
    """The handshake refuses them: no call is made."""
    foreign = Authority.create("daxa.kr").issue("member/upbit", [])
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
    expired = _authority(folder).issue("member/upbit", [], days=1, not_before=past)
    for key, cert in ((None, None), (foreign.key, foreign.certificate), (expired.key, expired.certificate)):
        with channel(folder, key=key, cert=cert) as open_channel, pytest.raises(grpc.RpcError) as caught:
            sighting_pb2_grpc.SightingServiceStub(open_channel).SubmitSightings(batch(sighting()), timeout=60)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_every_code_has_a_status_and_every_call_a_right() -> None:
    """The catalogue and the table of rights are total."""
    assert set(ErrorCode) == set(STATUS)
    for code in ErrorCode:
        assert isinstance(status_of(code), grpc.StatusCode)
    for module in (evaluation_pb2, sighting_pb2, verdict_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                assert f"/{service.full_name}/{method.name}" in RIGHTS


def test_an_exception_of_another_kind_tells_nothing() -> None:
    """Whatever a bug raises, its text stays inside."""
    status = to_status(ValueError("the key 1234 was wrong"))
    assert status.code is grpc.StatusCode.INTERNAL
    assert "1234" not in status.details
    assert not any("1234" in str(item) for item in status.trailing_metadata)


def test_group_elements_that_members_send_are_checked_once(submit: grpc.UnaryUnaryMultiCallable) -> None:
    """A fingerprint that is stored was an element when it came: the same one is taken again."""
    key = group.base_multiply(group.random_scalar())
    assert submit(batch(sighting(key=key))).accepted == 1
    assert submit(batch(sighting(key=key))).accepted == 1


@pytest.mark.parametrize(("content", "told"), [(None, "FileNotFoundError"), (b"\xff\xfe", "UnicodeDecodeError")])
def test_a_registry_whose_policy_cannot_be_read_does_not_start(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    """One line that names the file, before a database is opened."""
    configuration = deployment.deploy(tmp_path / "deployment") / "registry/registry.toml"
    policy = read_registry(configuration).policy
    assert policy is not None
    policy.unlink()
    if content is not None:
        policy.write_bytes(content)
    with pytest.raises(
        ConfigurationError, match=rf"^INVALID_POLICY: {policy.name}: a file of TOML in UTF-8, got {told}"
    ):
        asyncio.run(registry_server(read_registry(configuration)).__aenter__())
