"""From canonical bytes to fingerprints: the cache first, then any t evaluators at once, each answer verified.

An evaluator that does not answer is passed over for a while, one whose proof is wrong for as long as the process lives; both are
named in the log and in :meth:`Fingerprinter.health`. Nothing here logs an identifier.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc

from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc
from daxa_core import dleq, oprf, suite, threshold
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, Unavailable
from daxa_core.model import Kind

from ._cache import FingerprintCache
from ._channel import open_channel
from ._config import ClientConfig
from ._errors import from_rpc

LOG = logging.getLogger("daxa_client")
BATCH = 256
PASSED_OVER_SECONDS = 30.0


@dataclass(slots=True)
class _Evaluator:
    index: int
    stub: evaluation_pb2_grpc.EvaluationServiceStub
    channel: grpc.Channel
    problem: str = ""
    avoid_until: float = 0.0

    @property
    def name(self) -> str:
        return f"evaluator {self.index}"


class Fingerprinter:
    """Turns canonical bytes of one kind into fingerprints. Thread-safe."""

    def __init__(self, config: ClientConfig, cache: FingerprintCache) -> None:
        self._config = config
        self._cache = cache
        self._lock = threading.Lock()
        self._evaluators: list[_Evaluator] = []
        for index, target in sorted(config.evaluators.items()):
            channel = open_channel(config, (target,))
            stub = evaluation_pb2_grpc.EvaluationServiceStub(channel)
            self._evaluators.append(_Evaluator(index, stub, channel))
        parameters = config.parameters
        self._public = {
            (kind, e.index): parameters.public_share(kind, e.index) for kind in Kind for e in self._evaluators
        }
        # Members start at different evaluators, so that none of them carries everybody.
        self._first = sum(config.member.encode()) % len(self._evaluators)
        self._pool = ThreadPoolExecutor(max_workers=2 * len(self._evaluators), thread_name_prefix="daxa-evaluate")

    def close(self) -> None:
        """Closes the channels."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for evaluator in self._evaluators:
            evaluator.channel.close()

    def health(self) -> dict[str, str]:
        """Each evaluator by name: ``"ok"``, or what was wrong with it when it was last asked."""
        with self._lock:
            return {e.name: e.problem or "ok" for e in self._evaluators}

    def fingerprints(self, kind: Kind, canonicals: Sequence[bytes]) -> dict[bytes, bytes]:
        """The fingerprint of each, by its canonical bytes.

        Raises Unavailable NOT_ENOUGH_EVALUATORS naming each evaluator that did not serve, or Refused QUOTA_EXHAUSTED.
        """
        distinct = list(dict.fromkeys(canonicals))
        known = self._cache.get(distinct)
        unknown = [canonical for canonical in distinct if canonical not in known]
        for start in range(0, len(unknown), BATCH):
            part = unknown[start : start + BATCH]
            fresh = dict(zip(part, self._evaluate(kind, part), strict=True))
            self._cache.put(fresh)
            known.update(fresh)
        return known

    def _evaluate(self, kind: Kind, inputs: Sequence[bytes]) -> list[bytes]:
        blinded = oprf.blind_batch(inputs)
        elements = [one.element for one in blinded]
        needed = self._config.parameters.threshold
        partials: dict[int, list[bytes]] = {}
        left = self._order()
        refused: DaxaError | None = None
        while len(partials) < needed and left:
            asked, left = left[: needed - len(partials)], left[needed - len(partials) :]
            answers = list(self._pool.map(lambda e: self._ask(e, kind, elements), asked))
            for evaluator, answer in zip(asked, answers, strict=True):
                if isinstance(answer, DaxaError):
                    refused = answer if answer.code is ErrorCode.QUOTA_EXHAUSTED else refused
                else:
                    partials[evaluator.index] = answer
        if len(partials) < needed:
            if refused is not None:
                raise refused
            problems = "; ".join(f"{name}: {problem}" for name, problem in self.health().items() if problem != "ok")
            wanted = f"{needed} evaluators that answer rightly, got {len(partials)} ({problems})"
            raise Unavailable(ErrorCode.NOT_ENOUGH_EVALUATORS, "evaluators", wanted, retry_after=PASSED_OVER_SECONDS)
        return threshold.combine_unblind_batch([one.blind for one in blinded], partials)

    def _order(self) -> list[_Evaluator]:
        """Those in good standing first; one that was down is tried again after the others, one that lied never."""
        now = time.monotonic()
        with self._lock:
            turned = self._evaluators[self._first :] + self._evaluators[: self._first]
            usable = [e for e in turned if e.avoid_until != float("inf")]
            return sorted(usable, key=lambda e: e.avoid_until > now)

    def _ask(self, evaluator: _Evaluator, kind: Kind, elements: list[bytes]) -> list[bytes] | DaxaError:
        config = self._config
        request = evaluation_pb2.EvaluateRequest(
            kind=int(kind),  # type: ignore[arg-type]
            key_version=config.parameters.key_version,
            blinded_elements=elements,
        )
        try:
            response = evaluator.stub.Evaluate(request, timeout=config.deadline_seconds)
        except grpc.RpcError as error:
            typed = from_rpc(error, evaluator.name, config.ca, config.certificate)
            self._note(evaluator, str(typed), lying=False)
            return typed
        try:
            if response.index != evaluator.index:
                raise CryptoError(ErrorCode.INVALID_PROOF, evaluator.name, f"the evaluator at index {evaluator.index}")
            evaluated = list(response.evaluated_elements)
            if len(evaluated) != len(elements):
                raise CryptoError(ErrorCode.INVALID_PROOF, evaluator.name, "as many elements as were asked")
            for element in evaluated:
                if len(element) != suite.NE:
                    raise CryptoError(ErrorCode.INVALID_LENGTH, evaluator.name, f"elements of {suite.NE} bytes")
            dleq.check(suite.GENERATOR, self._public[kind, evaluator.index], elements, evaluated, response.proof)
        except DaxaError as error:
            wrong = Unavailable(ErrorCode.INVALID_PROOF, evaluator.name, error.expected)
            self._note(evaluator, str(wrong), lying=True)
            return wrong
        self._note(evaluator, "", lying=False)
        return evaluated

    def _note(self, evaluator: _Evaluator, problem: str, *, lying: bool) -> None:
        with self._lock:
            changed = problem != evaluator.problem
            evaluator.problem = problem
            if lying:
                evaluator.avoid_until = float("inf")
            elif evaluator.avoid_until != float("inf"):
                evaluator.avoid_until = time.monotonic() + PASSED_OVER_SECONDS if problem else 0.0
        if changed and problem:
            LOG.warning("%s is passed over: %s", evaluator.name, problem)
        elif changed:
            LOG.info("%s serves again", evaluator.name)
