"""From canonical bytes to fingerprints: the cache first, then any t evaluators at once, each answer verified.

A batch is blinded once and sent to t evaluators together. An evaluator that is down, slow or wrong is replaced by another while
the batch is under way, and named (see :mod:`._standing`); a fingerprint is made only of answers whose proof holds against the
public share in the member's own parameters file. A small batch is answered with its proof; of a large one a random combination is
proved once the answers are there (:mod:`daxa_core.together`), for a third of the work. Nothing here logs an identifier.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TypeVar

import grpc

from daxa_api.v1 import evaluation_pb2, evaluation_pb2_grpc
from daxa_core import oprf, threshold, together
from daxa_core.errors import CryptoError, DaxaError, ErrorCode, Unavailable
from daxa_core.model import MAX_BLINDED_ELEMENTS, Kind
from daxa_core.threshold import VerifiedPartial

from ._cache import FingerprintCache
from ._channel import Identity, open_channel
from ._config import ClientConfig
from ._errors import closed, from_rpc, make_error
from ._standing import FIRST_REST_SECONDS, Standing, name_of

LOG = logging.getLogger("daxa_client")
BATCH = 256
assert BATCH <= MAX_BLINDED_ELEMENTS
TOGETHER = 64
"""From so many on, answers are checked together: fewer are not worth another way there and back."""
THREADS = 2
"""Over how many threads one batch is worked on: libsodium works outside the interpreter lock."""
_MOST_BATCHES_AT_ONCE = 8
_Answer = Future[dict[bytes, bytes]]
_Unproved = tuple[int, Sequence[bytes]]
_T = TypeVar("_T")
_OWN_FAULT = frozenset({
    ErrorCode.CERTIFICATE_MISSING, ErrorCode.CERTIFICATE_EXPIRED, ErrorCode.CERTIFICATE_FOREIGN,
    ErrorCode.CERTIFICATE_IDENTITY, ErrorCode.CERTIFICATE_AMBIGUOUS, ErrorCode.CERTIFICATE_REVOKED, ErrorCode.PERMISSION_DENIED,
    ErrorCode.QUOTA_EXHAUSTED, ErrorCode.STALE_KEY_VERSION,
})  # fmt: skip


class Fingerprinter:
    """Turns canonical bytes into fingerprints. Thread-safe."""

    def __init__(self, config: ClientConfig, cache: FingerprintCache) -> None:
        self._config = config
        self._cache = cache
        self._closed = False
        self._lock = threading.RLock()
        self._under_way: dict[bytes, _Answer] = {}
        """What is being evaluated just now, so that batches side by side do not ask the same twice."""
        self._parameters = config.parameters
        self._slow_seconds = config.deadline_seconds / 4
        indexes = sorted(config.evaluators)
        self._identity = Identity(config)
        self._channels = {index: open_channel(config, config.evaluators[index], self._identity) for index in indexes}
        self._stubs = {i: evaluation_pb2_grpc.EvaluationServiceStub(c) for i, c in self._channels.items()}
        self.standing = Standing(indexes, first=sum(config.member.encode()))
        # libsodium is called outside the interpreter lock, so batches side by side use the cores there are; half of them wait
        # for an evaluator.
        at_once = min(2 * (os.cpu_count() or 1), _MOST_BATCHES_AT_ONCE)
        self._batches = ThreadPoolExecutor(at_once, thread_name_prefix="daxa-fingerprint")
        self._asking = ThreadPoolExecutor((at_once + 1) * len(indexes), thread_name_prefix="daxa-evaluate")

    def close(self) -> None:
        """Ends what is under way."""
        self._closed = True
        for channel in self._channels.values():
            channel.close()
        self._batches.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            left = set(self._under_way.values())
            self._under_way.clear()
        for answer in left:  # whose turn never came
            answer.cancel()
        self._asking.shutdown(wait=True, cancel_futures=True)

    def fingerprints(self, kind: Kind, canonicals: Sequence[bytes]) -> dict[bytes, bytes]:
        """The fingerprint of each, by its canonical bytes. Raises as :meth:`of_all`."""
        return self.of_all({Kind(kind): canonicals})

    def of_all(self, wanted: Mapping[Kind, Sequence[bytes]]) -> dict[bytes, bytes]:
        """The fingerprint of each, by its canonical bytes, which carry their kind.

        Raises Unavailable NOT_ENOUGH_EVALUATORS naming each evaluator that did not serve and why; where they all refused this
        member for one reason (its certificate, its quota, its key version), Refused with that. What was evaluated before is kept.
        """
        known: dict[bytes, bytes] = {}
        batches: list[tuple[Kind, list[bytes], _Answer]] = []
        others: dict[_Answer, None] = {}
        with self._lock:  # over all of it: who came first waits for nothing that a later one has claimed
            for kind, canonicals in wanted.items():
                batches += self._claim(kind, list(dict.fromkeys(canonicals)), known, others)
            if len(batches) > 1:
                self._hand_on(batches)
        if len(batches) == 1:
            self._answer(*batches[0])
        try:
            for answer in (*(answer for *_, answer in batches), *others):
                known.update(answer.result())
        except CancelledError:
            raise closed() from None
        except DaxaError as error:
            with self._lock:  # the rest of it would fail as slowly
                for *_, answer in batches:
                    if not answer.running() and not answer.done():
                        answer.set_exception(error)
            raise
        return known

    def _hand_on(self, batches: list[tuple[Kind, list[bytes], _Answer]]) -> None:
        try:
            for batch in batches:
                self._batches.submit(self._answer, *batch)
        except RuntimeError:  # the pool's word for being shut down
            for _, inputs, answer in batches:
                answer.cancel()
                self._forget(inputs)

    def _claim(
        self, kind: Kind, distinct: list[bytes], known: dict[bytes, bytes], others: dict[_Answer, None]
    ) -> list[tuple[Kind, list[bytes], _Answer]]:
        """Those that are neither known nor just now evaluated, in batches. What the cache has is put into ``known``, whose answer
        will have the rest into ``others``: under one lock, as an answer is kept before it is forgotten here."""
        made, mine = [], []
        known.update(self._cache.get(distinct))
        for canonical in distinct:
            if canonical in known:
                continue
            answer = self._under_way.get(canonical)
            if answer is None:
                mine.append(canonical)
            else:
                others[answer] = None
        for start in range(0, len(mine), BATCH):
            part, answer = mine[start : start + BATCH], _Answer()
            self._under_way.update(dict.fromkeys(part, answer))
            made.append((kind, part, answer))
        return made

    def _answer(self, kind: Kind, inputs: list[bytes], answer: _Answer) -> None:
        """Evaluates a batch for all who wait for it; what went wrong is told to each of them."""
        try:
            with self._lock:
                begins = not answer.done() and answer.set_running_or_notify_cancel()
            if begins:
                answer.set_result(self._evaluate(kind, inputs))
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            answer.set_exception(error)
        finally:
            self._forget(inputs)

    def _forget(self, inputs: list[bytes]) -> None:
        with self._lock:
            for one in inputs:
                self._under_way.pop(one, None)

    def _evaluate(self, kind: Kind, inputs: Sequence[bytes]) -> dict[bytes, bytes]:
        blinded = oprf.blind_batch(inputs, threads=THREADS)
        blinds, elements = [one.blind for one in blinded], [one.element for one in blinded]
        combined = self._together(kind, blinds, elements) if len(inputs) >= TOGETHER else None
        if combined is None:
            partials = self._collect(kind, elements, self._ask)
            combined = threshold.combine_verified(blinds, partials, THREADS)
        fresh = dict(zip(inputs, combined, strict=True))
        self._cache.put(fresh)
        return fresh

    def _together(self, kind: Kind, blinds: list[bytes], elements: list[bytes]) -> list[bytes] | None:
        """The fingerprints, by answers that are proved together; None where that is not to be had, for whatever reason."""
        answers = dict(self._collect(kind, elements, self._ask_unproved)[: self._parameters.threshold])
        if not threshold.adds_up(list(answers)):
            return None
        question = together.ask(elements, THREADS)
        try:
            asked = [self._asking.submit(self._ask, index, kind, [question.element]) for index in answers]
        except RuntimeError:  # the pool's word for being shut down
            raise closed() from None
        proved = []
        for future in asked:
            with suppress(DaxaError):  # it was noted
                proved.append(future.result())
        try:
            if len(proved) == len(answers):
                return together.combine(blinds, answers, question, proved, THREADS)
        except CryptoError as error:
            for index in together.liars(answers, question, proved, THREADS):
                self.standing.lied(index, CryptoError(error.code, name_of(index), error.expected))
        return None

    def _collect(self, kind: Kind, elements: list[bytes], ask: Callable[[int, Kind, list[bytes]], _T]) -> list[_T]:
        """The answers of t evaluators."""
        needed = self._parameters.threshold
        left = self.standing.order(kind)
        failures: dict[int, DaxaError] = {}
        partials: list[_T] = []
        pending: dict[Future[_T], int] = {}

        def ask_next() -> None:
            index = left.pop(0)
            try:
                pending[self._asking.submit(ask, index, kind, elements)] = index
            except RuntimeError:  # the pool's word for being shut down
                raise closed() from None

        while len(partials) < needed:
            while left and len(partials) + len(pending) < needed:
                ask_next()
            if not pending:
                raise self._not_enough(failures, len(partials))
            done, _ = wait(pending, self._slow_seconds if left else None, FIRST_COMPLETED)
            if not done:  # one is slow: another is asked beside it, and whoever is first counts
                ask_next()
            for future in done:
                index = pending.pop(future)
                try:
                    partials.append(future.result())
                except DaxaError as error:
                    failures[index] = error
        return partials

    def _not_enough(self, failures: Mapping[int, DaxaError], good: int) -> DaxaError:
        codes = {error.code for error in failures.values()}
        if len(codes) == 1 and codes <= _OWN_FAULT:
            error = next(iter(failures.values()))
            return make_error(error.code, error.field, error.expected, error.retry_after)
        # Those that lied earlier were not asked; the reader wants to know of them too.
        why = {name: problem for name, problem in self.standing.health().items() if problem != "ok"}
        why |= {name_of(index): str(error) for index, error in failures.items()}
        told = "; ".join(f"{name}: {problem}" for name, problem in sorted(why.items()))
        wanted = f"{self._parameters.threshold} evaluators that answer rightly, got {good} ({told})"
        return Unavailable(ErrorCode.NOT_ENOUGH_EVALUATORS, "evaluators", wanted, retry_after=FIRST_REST_SECONDS)

    def _ask(self, index: int, kind: Kind, elements: list[bytes]) -> VerifiedPartial:
        """One evaluator's answer, verified. Raises DaxaError, having noted what was wrong."""
        return self._asked(index, kind, elements, False, self._verified)

    def _ask_unproved(self, index: int, kind: Kind, elements: list[bytes]) -> _Unproved:
        """One evaluator's answer, of which nothing is known yet. Raises as :meth:`_ask`."""

        def counted(
            index: int, kind: Kind, elements: list[bytes], response: evaluation_pb2.EvaluateResponse
        ) -> _Unproved:
            self._check_count(index, elements, response)
            return index, list(response.evaluated_elements)

        return self._asked(index, kind, elements, True, counted)

    def _asked(
        self,
        index: int,
        kind: Kind,
        elements: list[bytes],
        unproved: bool,
        check: Callable[[int, Kind, list[bytes], evaluation_pb2.EvaluateResponse], _T],
    ) -> _T:
        config = self._config
        request = evaluation_pb2.EvaluateRequest(
            kind=int(kind),  # type: ignore[arg-type]
            key_version=self._parameters.key_version,
            blinded_elements=elements,
            unproved=unproved,
        )
        asked, request_id = time.monotonic(), secrets.token_hex(8)
        try:
            response = self._stubs[index].Evaluate(
                request, timeout=config.deadline_seconds, metadata=(("x-request-id", request_id),)
            )
        except grpc.RpcError as error:
            if self._closed:
                raise closed() from None
            typed = from_rpc(error, name_of(index), self._identity.ca, self._identity.certificate)
            self.standing.failed(index, kind, typed)
            # The evaluator's log has the same id beside its reason.
            LOG.info("evaluator %d failed a call: %s, request id %s", index, typed.code, request_id)
            raise typed from None
        except ValueError:  # gRPC's word for a channel that was closed
            raise closed() from None
        took = time.monotonic() - asked
        try:
            answer = check(index, kind, elements, response)
        except DaxaError as error:
            self.standing.lied(index, error)
            raise
        if took > self._slow_seconds:
            late = f"an answer within {self._slow_seconds:g} seconds"
            self.standing.failed(index, kind, Unavailable(ErrorCode.DEADLINE_EXCEEDED, name_of(index), late))
        else:
            self.standing.served(index, kind)
        return answer

    def _verified(
        self, index: int, kind: Kind, elements: list[bytes], response: evaluation_pb2.EvaluateResponse
    ) -> VerifiedPartial:
        """The evaluated elements, if they are what this evaluator's public share says. Raises CryptoError."""
        self._check_count(index, elements, response)
        try:
            commitments = self._parameters.commitments(kind)
            return threshold.verify_partial(
                index, commitments, elements, response.evaluated_elements, response.proof, threads=THREADS
            )
        except DaxaError as error:
            raise CryptoError(error.code, name_of(index), error.expected) from None

    @staticmethod
    def _check_count(index: int, elements: list[bytes], response: evaluation_pb2.EvaluateResponse) -> None:
        if response.index != index:
            raise CryptoError(ErrorCode.INVALID_PROOF, name_of(index), "an answer with its own index")
        if len(response.evaluated_elements) != len(elements):
            raise CryptoError(ErrorCode.INVALID_PROOF, name_of(index), "as many elements as were asked")
