"""An operator hears of members' certificates before they end: in the metrics of each server, and in ``daxa-registry status``."""

from __future__ import annotations

import datetime
import json
import urllib.request
from functools import partial
from pathlib import Path

from click.testing import CliRunner

import deployment
from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc, verdict_pb2, verdict_pb2_grpc
from daxa_registry.bootstrap import evaluator_server, open_store, registry_server, registry_status
from daxa_registry.cli.status import attention, status
from daxa_registry.config import read_evaluator, read_registry
from daxa_registry.keys.authority_folder import AuthorityFolder
from daxa_registry.service.certificate_ends import SECONDS_PER_DAY, CertificateEnds, kept_ends


def test_of_a_peer_the_certificate_that_began_last_counts() -> None:
    """One that was renewed is told of no more, even for a shorter time; an old one that is still in use hides nothing."""
    ends = CertificateEnds()
    for since, until in ((0.0, 100.0), (50.0, 80.0), (0.0, 100.0)):
        ends.saw("member/upbit", since * SECONDS_PER_DAY, until * SECONDS_PER_DAY)
    assert ends.days_left(60 * SECONDS_PER_DAY) == {("member/upbit",): 20.0}


def test_what_nodes_have_seen_is_one_record_and_none_forgets_for_another() -> None:
    """A node that knows an older certificate does not write over a newer one's end; what is not new is not written again."""
    store, here, there = open_store(":memory:"), CertificateEnds(), CertificateEnds()
    here.saw("member/upbit", 50.0, 500.0)
    here.saw("auditor/fss", 10.0, 90.0)
    there.saw("member/upbit", 20.0, 200.0)
    for ends in (here, there):
        ends.keep(store)
    assert kept_ends(store) == {"member/upbit": 500.0, "auditor/fss": 90.0}
    store.close()
    here.keep(store)  # nothing new: a store that is closed is not asked


def test_the_end_of_a_members_certificate_is_in_metrics_and_status(tmp_path: Path) -> None:
    """With who it is and how long it is; of one that was renewed, and of one who is no member any more, no longer."""
    folder = deployment.deploy(tmp_path / "deployment", ["upbit", "korbit"], threshold=1, evaluators=1)
    registry, evaluator = folder / "registry/registry.toml", folder / "evaluators/1/evaluator.toml"
    ports = dict(zip((registry, evaluator), deployment.free_ports(2), strict=True))
    for configuration, port in ports.items():
        configuration.write_text(f"metrics_port = {port}\n" + configuration.read_text())
    registry.write_text("sweep_seconds = 0.05\n" + registry.read_text())
    authority = AuthorityFolder.open(folder / "ca").authority

    def come(days: int, began: int) -> None:
        """upbit calls with a certificate that began some hours ago and ends in so many days."""
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=began)
        issued = authority.issue("member/upbit", [], days=days + began / 24, not_before=since)
        tls = {"key": issued.key, "cert": issued.certificate}
        with deployment.channel(folder / "members/upbit", registry, **tls) as channel:
            verdict_pb2_grpc.VerdictServiceStub(channel).GetVerdictDigest(verdict_pb2.GetVerdictDigestRequest())
        with deployment.channel(folder / "members/upbit", evaluator, **tls) as channel:
            evaluation_pb2_grpc.EvaluationServiceStub(channel).GetParameters(evaluation_pb2.GetParametersRequest())

    def seen(days: int) -> None:
        """Waits until status says so: once the sweep has kept it."""
        left = lambda: registry_status(registry).peers_left.items()  # noqa: E731
        deployment.wait_for(lambda: {peer: round(number) for peer, number in left()} == {"member/upbit": days})

    said = "the certificate of member/upbit ends in 10 days"
    with deployment.in_process(
        partial(registry_server, read_registry(registry)), partial(evaluator_server, read_evaluator(evaluator))
    ):
        come(days=10, began=3)
        seen(10)
        for port in ports.values():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                assert 'daxa_peer_certificate_days_left{peer="member/upbit"} 9.9' in answer.read().decode()
        result = CliRunner().invoke(status, [str(registry), "--json"], catch_exceptions=False)
        [told] = json.loads(result.output)["attention"]
        assert (result.exit_code, told.startswith(said)) == (1, True)
        assert json.loads(result.output)["peers_days_left"] == {"member/upbit": 10.0}
        come(days=90, began=2)
        seen(90)
        assert attention(registry_status(registry)) == []
        come(days=20, began=1)
        seen(20)
    registry.write_text(registry.read_text().replace('members = ["upbit", "korbit"]', 'members = ["korbit"]'))
    assert registry_status(registry).peers_left == {}
