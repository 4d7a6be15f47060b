#!/usr/bin/env python3
"""What fingerprinting costs, beside its floor (the libsodium calls it cannot do without) and its peer (the voprf wheel).

Everything is measured in one run, in rounds: each round measures floor, ours and peer one after the other, each ratio is
taken within its round, and the median over the rounds is reported, so that a busy machine disturbs both sides alike. What
needs two cores is taken from the rounds in which bare libsodium calls had two as well, where there are such rounds. The
peer is the wheel's client and evaluator from bytes to bytes, as over a wire. :func:`run` gives rows for ``scripts/bench``:
``name``, ``value``, ``unit``, ``target`` (text, or None where the row only informs), ``ok`` and ``detail``.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "client"))

from voprf import ristretto

from daxa_core import dleq, group, oprf, suite

BATCH = 256
ROUNDS = 15
TWO_CORES = 1.8
"""The speedup of bare calls in two threads from which a round counts as having had two cores to itself."""
_INPUTS = [b"daxa\x01\x01" + os.urandom(20).hex().encode() for _ in range(BATCH)]
_SECRET, _PUBLIC = suite.generate_key_pair()
_PEER = ristretto.Evaluator(os.urandom(32))


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _bare(function: Any, times: int, *arguments: Any) -> None:
    for _ in range(times):
        function(*arguments)


_OUT, _SCALAR = group._Buffer(), group.random_scalar()
_LEFT, _RIGHT = suite.hash_to_group(b"left"), suite.hash_to_group(b"right")
_UNIFORM = os.urandom(group.UNIFORM_BYTES)


def _client_floor(out: Any = _OUT) -> None:
    """Per item: hash to the group, blind, two weights for the proof's sums, unblind, two additions. Per batch: the proof's
    own four multiplications and two additions, and one inversion."""
    _bare(group._from_hash, BATCH, out, _UNIFORM)
    _bare(group._scalarmult, 4 * BATCH + 4, out, _SCALAR, _LEFT)
    _bare(group._add, 2 * (BATCH - 1) + 2, out, _LEFT, _RIGHT)
    _bare(group._scalar_invert, 1, out, _SCALAR)


def _evaluator_floor(out: Any = _OUT) -> None:
    """Per item: evaluate, one weight for the proof's sum, one addition. Per batch: three multiplications."""
    _bare(group._scalarmult, 2 * BATCH + 2, out, _SCALAR, _LEFT)
    _bare(group._scalarmult_base, 1, out, _SCALAR)
    _bare(group._add, BATCH - 1, out, _LEFT, _RIGHT)


def _ours(threads: int = 1) -> tuple[float, float]:
    """(client, evaluator) seconds for one batch with one verifiable evaluator."""
    blind_seconds, blinded = _seconds(lambda: oprf.blind_batch(_INPUTS, threads=threads))
    elements = [one.element for one in blinded]
    evaluator, (evaluated, proof) = _seconds(lambda: oprf.blind_evaluate(_SECRET, _PUBLIC, elements, threads=threads))

    def finish() -> None:
        dleq.check(suite.GENERATOR, _PUBLIC, elements, evaluated, proof, threads=threads)
        oprf.unblind_batch([one.blind for one in blinded], evaluated, threads)

    return blind_seconds + _seconds(finish)[0], evaluator


def _peers() -> tuple[float, float]:
    """The same by the voprf wheel."""

    def blind() -> list[tuple[Any, bytes]]:
        clients = [ristretto.Client.blind(item) for item in _INPUTS]
        return [(client, blinded.serialize()) for client, blinded in clients]

    blind_seconds, blinded = _seconds(blind)
    evaluator, answer = _seconds(
        lambda: _PEER.evaluate_batch([ristretto.BlindedInput.deserialize(raw) for _, raw in blinded]).serialize()
    )

    def finish() -> None:
        outputs = ristretto.VerifiableBatchOutput.deserialize(answer)
        ristretto.Client.finalize_batch([client for client, _ in blinded], outputs, _PEER.public_key)

    return blind_seconds + _seconds(finish)[0], evaluator


def _speedup(work: Callable[[], Any]) -> float:
    """How many times one thread's throughput two threads have. Fresh threads: the system gives those a core each."""

    def twice() -> None:
        work()
        work()

    before = _seconds(twice)[0]
    threads = [threading.Thread(target=twice) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    two = time.perf_counter() - start
    return (before + _seconds(twice)[0]) / two


def _client_work() -> Callable[[], None]:
    blinded = oprf.blind_batch(_INPUTS)
    elements, blinds = [one.element for one in blinded], [one.blind for one in blinded]
    evaluated, proof = oprf.blind_evaluate(_SECRET, _PUBLIC, elements)

    def work() -> None:
        oprf.blind_batch(_INPUTS)
        dleq.check(suite.GENERATOR, _PUBLIC, elements, evaluated, proof)
        oprf.unblind_batch(blinds, evaluated)

    return work


def _row(name: str, values: list[float], unit: str, target: str | None, detail: str) -> dict[str, Any]:
    value = statistics.median(values)
    ok = True
    if target is not None:
        sign, bound = target.split()
        ok = value <= float(bound) if sign == "<=" else value >= float(bound)
    return {"name": name, "value": round(value, 3), "unit": unit, "target": target, "ok": ok, "detail": detail}


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Measures everything; about ``rounds`` seconds on two idle cores."""
    table: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        table.setdefault(name, []).append(value)

    work = _client_work()
    elements = [one.element for one in oprf.blind_batch(_INPUTS)]
    for _ in range(rounds):
        client_floor, evaluator_floor = _seconds(_client_floor)[0], _seconds(_evaluator_floor)[0]
        client, evaluator = _ours()
        peer_client, peer_evaluator = _peers()
        wide_client, wide_evaluator = _ours(threads=2)
        note("client", client / BATCH * 1e6)
        note("evaluator", evaluator / BATCH * 1e6)
        note("client floor", client / client_floor)
        note("client peer", client / peer_client)
        note("client peer wide", wide_client / peer_client)
        note("client floor peer", client_floor / peer_client)
        note("evaluator floor", evaluator / evaluator_floor)
        note("evaluator peer", evaluator / peer_evaluator)
        note("evaluator peer wide", wide_evaluator / peer_evaluator)
        note("evaluator floor peer", evaluator_floor / peer_evaluator)
        note("client speedup", _speedup(work))
        note("evaluator speedup", _speedup(lambda: oprf.blind_evaluate(_SECRET, _PUBLIC, elements)))
        note("bare speedup", _speedup(lambda: _client_floor(group._Buffer())))
    bare = table["bare speedup"]
    free = [i for i, speedup in enumerate(bare) if speedup >= TWO_CORES]
    chosen = free or range(rounds)
    cores = (
        f"{len(free)} of {rounds} rounds had two cores to themselves (bare calls: median {statistics.median(bare):.2f})"
    )
    rows = []
    for side in ("client", "evaluator"):
        share = (
            f"the libsodium calls alone take {statistics.median(table[f'{side} floor peer']):.2f} of the peer's time"
        )
        wide, speedup = ([table[f"{side} {name}"][i] for i in chosen] for name in ("peer wide", "speedup"))
        rows += [
            _row(f"fingerprint.{side}", table[side], "µs/item", None, f"batches of {BATCH}, one thread"),
            _row(f"fingerprint.{side}.floor", table[f"{side} floor"], "x", "<= 1.25", "against its libsodium calls alone"),
            _row(f"fingerprint.{side}.voprf.1_thread", table[f"{side} peer"], "x", "<= 1.0", share),
            _row(f"fingerprint.{side}.voprf.2_threads", wide, "x", "<= 1.0",
                 "wall time, one batch over two threads; the wheel has one"),
            _row(f"fingerprint.{side}.speedup", speedup, "x", ">= 1.7", cores),
        ]  # fmt: skip
    return rows


def main() -> int:
    rows = run()
    for row in rows:
        mark = "    " if row["target"] is None else "ok  " if row["ok"] else "MISS"
        print(f"{mark} {row['name']:40} {row['value']:8.3f} {row['unit']:8} {row['target'] or '':8} {row['detail']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
