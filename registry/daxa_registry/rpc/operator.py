"""An operator's calls: fingerprints by any t evaluators, and the office of a running registry, over mutual TLS.

Addresses are fingerprinted here, with the operator's certificate, and only fingerprints go on; an evaluator that does not
answer, or answers wrongly, is passed over. What is raised is a DaxaError, always.

>>> with Operator(read_operator(path)) as operator:                                   # doctest: +SKIP
...     operator.declare(["203.0.113.7"], "a platform", until, dry_run=True)
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc

from daxa_api.v1 import admin_pb2, admin_pb2_grpc, evaluation_pb2, evaluation_pb2_grpc, incident_pb2_grpc, leak_pb2_grpc
from daxa_core import oprf, threshold
from daxa_core.canonical import canonical_address
from daxa_core.codec import read_verdict
from daxa_core.errors import DaxaError, ErrorCode, Unavailable
from daxa_core.handshake import certificate_problem
from daxa_core.model import Kind
from daxa_core.threshold import VerifiedPartial
from daxa_registry.config import OperatorConfig
from daxa_registry.keys.shares import read_parameters
from daxa_registry.service.appeals import Appeal
from daxa_registry.service.cases import CaseView
from daxa_registry.service.office import Answered
from daxa_registry.service.policies import PolicyEntry, PolicyMove, PolicyTest
from daxa_registry.service.replay import Replay
from daxa_registry.store.interface import Declared

from . import admin_codec as wire
from .errors import from_rpc
from .incidents import OperatorIncidents
from .operator_leaks import OperatorLeaks
from .operator_nodes import AnyNode, once

LOG = logging.getLogger("daxa_registry.rpc")
DEADLINE_SECONDS = 60.0
LONG_SECONDS = 1_800.0
"""For what looks at every subject."""
_MAX_RESPONSE_BYTES = 4 << 20
_OWN_FAULT = frozenset({
    ErrorCode.CERTIFICATE_MISSING, ErrorCode.CERTIFICATE_EXPIRED, ErrorCode.CERTIFICATE_FOREIGN, ErrorCode.CERTIFICATE_REVOKED,
    ErrorCode.QUOTA_EXHAUSTED,
})  # fmt: skip
"""Every other evaluator would say the same."""
_NEVER_SENT = "failed to connect to all addresses"
"""What gRPC says where there was no connection to send anything over."""
_BATCH = 256


class Operator:
    """One operator's connections; close it, or use it as a context manager."""

    def __init__(self, config: OperatorConfig, by: str = "") -> None:
        """Connects to nobody yet. ``by``: the person who acts, for the record; who only looks needs none."""
        self._config = config
        self._by = by
        self._parameters = read_parameters(config.parameters)
        self._ca, self._certificate = config.tls.ca.read_bytes(), config.tls.certificate.read_bytes()
        self._credentials = grpc.ssl_channel_credentials(self._ca, config.tls.key.read_bytes(), self._certificate)
        self._channels = {index: self._open(target) for index, target in config.evaluators.items()}
        self._evaluators = {
            index: evaluation_pb2_grpc.EvaluationServiceStub(channel) for index, channel in self._channels.items()
        }
        # To a stub it is a channel.
        self._registry = cast(grpc.Channel, AnyNode([self._open(target) for target in config.targets]))
        self._office = admin_pb2_grpc.AdminServiceStub(self._registry)
        self.incidents = OperatorIncidents(incident_pb2_grpc.IncidentServiceStub(self._registry), self._call, by)
        self.leaks = OperatorLeaks(leak_pb2_grpc.LeakServiceStub(self._registry), self._call, self._parameters, by)

    def _open(self, target: str) -> grpc.Channel:
        options = (("grpc.max_receive_message_length", _MAX_RESPONSE_BYTES), ("grpc.enable_retries", 0))
        return grpc.secure_channel(target, self._credentials, options)

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        for channel in (self._registry, *self._channels.values()):
            channel.close()

    # fingerprints

    def fingerprints(self, addresses: Sequence[str]) -> list[bytes]:
        """The fingerprint of each address. Raises InvalidInput naming the place of one that is none; never tells the address."""
        canonical: list[bytes] = []
        for index, address in enumerate(addresses):
            try:
                canonical.append(canonical_address(address, allow_non_global=self._config.allow_non_global_addresses))
            except DaxaError as error:
                raise type(error)(error.code, f"addresses[{index}]", error.expected) from None
        return self.evaluated(Kind.ADDRESS, canonical)

    def evaluated(self, kind: Kind, canonical: Sequence[bytes]) -> list[bytes]:
        """The fingerprint of each canonical value, by any t evaluators; in batches, two at a time. Raises Unavailable."""
        batches = [canonical[start : start + _BATCH] for start in range(0, len(canonical), _BATCH)]
        if len(batches) <= 1:
            return [one for batch in batches for one in self._batch(kind, batch)]
        with ThreadPoolExecutor(2, thread_name_prefix="daxa-evaluate") as pool:
            return [one for answer in pool.map(lambda batch: self._batch(kind, batch), batches) for one in answer]

    def _batch(self, kind: Kind, canonical: Sequence[bytes]) -> list[bytes]:
        blinded = oprf.blind_batch(canonical)
        elements = [one.element for one in blinded]
        partials: list[VerifiedPartial] = []
        problems: list[str] = []
        for index in self._config.evaluators:
            try:
                partials.append(self._partial(kind, index, elements))
            except DaxaError as error:
                if error.code in _OWN_FAULT:
                    raise
                problems.append(f"evaluator {index}: {error}")
            if len(partials) == self._parameters.threshold:
                return threshold.combine_verified([one.blind for one in blinded], partials)
        wanted = f"{self._parameters.threshold} that answer rightly ({'; '.join(problems)})"
        raise Unavailable(ErrorCode.NOT_ENOUGH_EVALUATORS, "evaluators", wanted)

    def _partial(self, kind: Kind, index: int, elements: list[bytes]) -> VerifiedPartial:
        request = evaluation_pb2.EvaluateRequest(
            kind=int(kind),  # type: ignore[arg-type]
            key_version=self._parameters.key_version,
            blinded_elements=elements,
        )
        answer = self._call(self._evaluators[index].Evaluate, request, DEADLINE_SECONDS, f"evaluator {index}")
        commitments = self._parameters.commitments(kind)
        return threshold.verify_partial(index, commitments, elements, answer.evaluated_elements, answer.proof)

    # the office

    def appeals(self) -> list[Appeal]:
        """Open ones first."""
        answer = self._call(self._office.ListAppeals, admin_pb2.ListAppealsRequest())
        return [wire.read_appeal(one) for one in answer.appeals]

    def answer_appeal(self, member: str, number: int, grant: bool, reason: str, dry_run: bool) -> Answered:
        """Grants or denies one appeal."""
        request = admin_pb2.AnswerAppealRequest(
            member=member, number=number, grant=grant, reason=reason, dry_run=dry_run, by=self._by
        )
        answer = self._call(self._office.AnswerAppeal, request, LONG_SECONDS)
        corrections = tuple(wire.read_correction(one) for one in answer.corrections)
        return Answered(wire.read_appeal(answer.appeal), read_verdict(answer.verdict), corrections)

    def declare(self, addresses: Sequence[str], name: str, until: int, dry_run: bool) -> tuple[int, int]:
        """Vouches for addresses: how many of them the registry has seen, and how many keys stand above CLEAR there."""
        request = admin_pb2.DeclareInfrastructureRequest(
            fingerprints=self.fingerprints(addresses),
            name=name,
            until=until,
            key_version=self._parameters.key_version,
            dry_run=dry_run,
            by=self._by,
        )
        answer = self._call(self._office.DeclareInfrastructure, request)
        return answer.known, answer.suspects

    def infrastructure(self) -> list[Declared]:
        """What is declared."""
        answer = self._call(self._office.ListInfrastructure, admin_pb2.ListInfrastructureRequest())
        return [wire.read_declared(one) for one in answer.infrastructure]

    def remove(self, number: int, dry_run: bool) -> Declared:
        """Takes one declaration back."""
        request = admin_pb2.RemoveInfrastructureRequest(number=number, dry_run=dry_run, by=self._by)
        return wire.read_declared(self._call(self._office.RemoveInfrastructure, request).infrastructure)

    def cases(self, number: int = 0) -> list[CaseView]:
        """Every case, or one."""
        answer = self._call(self._office.ListCases, admin_pb2.ListCasesRequest(number=number), LONG_SECONDS)
        return [wire.read_case(one) for one in answer.cases]

    def replay(self, member: str, sequence: int) -> Replay:
        """One verdict, decided again."""
        request = admin_pb2.ReplayVerdictRequest(member=member, sequence=sequence)
        return wire.read_replay(self._call(self._office.ReplayVerdict, request))

    def policies(self) -> list[PolicyEntry]:
        """Every policy that was in force or tested."""
        answer = self._call(self._office.ListPolicies, admin_pb2.ListPoliciesRequest())
        return [wire.read_policy(one) for one in answer.policies]

    def policy(self, digest: str) -> tuple[PolicyEntry, str]:
        """One policy and its text."""
        answer = self._call(self._office.GetPolicy, admin_pb2.GetPolicyRequest(digest=digest))
        return wire.read_policy(answer.policy), answer.text

    def try_policy(self, text: str) -> tuple[PolicyTest, list[PolicyMove]]:
        """Who would move under it."""
        answer = self._call(self._office.TestPolicy, admin_pb2.TestPolicyRequest(text=text), LONG_SECONDS)
        return wire.read_test(answer.test), [wire.read_move(move) for move in answer.moves]

    def activate(self, text: str, dry_run: bool) -> PolicyTest:
        """Brings a policy into force: the test that this rests on."""
        request = admin_pb2.ActivatePolicyRequest(text=text, dry_run=dry_run, by=self._by)
        return wire.read_test(self._call(self._office.ActivatePolicy, request).test)

    def _call(
        self, method: Callable[..., Any], request: Any, seconds: float = DEADLINE_SECONDS, peer: str = "registry"
    ) -> Any:
        request_id = secrets.token_hex(8)
        try:
            return method(request, timeout=seconds, metadata=(("x-request-id", request_id),))
        except grpc.RpcError as error:
            told = from_rpc(error, peer)
            doubtful = once(request) and _NEVER_SENT not in str(error)
        # The server's log has the same id beside its reason.
        LOG.info("a call failed: %s", told.code, extra={"code": str(told.code), "request_id": request_id})
        if told.code is ErrorCode.UNAVAILABLE:  # a handshake that fails says no more
            told = certificate_problem(self._ca, self._certificate) or told
        if told.code is ErrorCode.UNAVAILABLE and doubtful:
            raise DaxaError(told.code, told.field, f"{told.expected}; whether it was done, its list tells")
        raise told
