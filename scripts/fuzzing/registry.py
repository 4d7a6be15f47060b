"""What the registry and its operators read: policies, evidence, certificates, lists, back-test lines, declarations."""

from __future__ import annotations

import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import Level
from daxa_registry.backtest import Backtest
from daxa_registry.decision.evidence import Evidence
from daxa_registry.decision.ladder import State
from daxa_registry.decision.leaked import Beside, Claim, attach, detach
from daxa_registry.decision.policy import default_policy_text, load_policy
from daxa_registry.keys.pki import Authority
from daxa_registry.keys.trust import read_anchors
from daxa_registry.rpc.identity import peer_of_certificate
from daxa_registry.service.limits import read_spent
from daxa_registry.store.postgres_signals import HEADS, NOTICES, read_signal
from daxa_registry.store.sqlite import SqliteStore

from . import Decoder, text

_LINE = {
    "ts": 1_790_000_000, "exchange": "upbit", "key": "k" * 40, "account": "a", "holder": "h", "ip": "8.8.8.8",
    "device": "d", "count": 1, "kind": "use",
}  # fmt: skip
_SPENT = [["member/upbit", "Evaluate", 512], ["member/bithumb", "SubmitSightings", 1]]


def _notice(payload: str) -> object:
    """As a node reads it: a signal, and what it says of limits."""
    _, notice = read_signal(NOTICES, payload)
    assert isinstance(notice, str)
    return read_spent(notice)


def decoders() -> dict[str, Decoder]:
    """By name."""
    authority = Authority.create("daxa.kr")
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    run = Backtest(SqliteStore(":memory:"), load_policy(default_policy_text()))

    def declared(data: bytes) -> object:
        try:
            listed = json.loads(data)
        except (ValueError, RecursionError):
            raise InvalidInput(ErrorCode.INVALID_VALUE, "declared", "JSON") from None
        return run.declare(listed)

    return {
        "verdict's state": Decoder(text(State.from_json), (State(Level.WARN, since=1, credit=0.5).to_json().encode(),)),
        "other nodes' heads": Decoder(text(lambda t: read_signal(HEADS, t)), (json.dumps(["a node", [1, 7], [2, 9]]).encode(),)),
        "other nodes' notice": Decoder(text(_notice), (json.dumps(["a node", json.dumps(_SPENT)]).encode(),)),
        "policy": Decoder(text(load_policy), (default_policy_text().encode(),), 5),
        "what stands beside evidence": Decoder(detach, (attach(Beside(Claim.VERIFIED, 2, 490_000, tried=7), b"evidence"),)),
        "evidence": Decoder(Evidence.from_bytes, (bytes(40),)),
        "certificate": Decoder(
            lambda data: peer_of_certificate(data, "daxa.kr"), (authority.issue("member/upbit", []).certificate,), 5
        ),
        "revocation list": Decoder(
            lambda data: read_anchors(authority.certificate, None, data), (authority.revocation_list({}, 1),), 5
        ),
        "signing request": Decoder(
            lambda data: authority.sign_request(data, "member/upbit", []),
            (request.public_bytes(serialization.Encoding.PEM),), 5,
        ),
        "back-test line": Decoder(run._parse, (json.dumps(_LINE).encode(),), 50),
        "declared infrastructure": Decoder(declared, (json.dumps([{"name": "n", "ips": ["8.8.8.8"]}]).encode(),), 2),
    }  # fmt: skip
