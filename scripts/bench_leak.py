"""Leaks: from the start of a load to the last issuer's callback; a screening with a warm cache; and one with a cold cache beside
the private-set-intersection wheel ``openmined-psi`` on the same sets.

The notice is measured on a registry process and two evaluators' over mutual TLS, with five members that watch: an operator loads
a file, and what is counted is what they were called back with. The screening runs in a process of its own; its memory is the most
that the process held. The cold screening is blinded, evaluated by two evaluators with their proofs, checked and unblinded, all on
this machine; so is the wheel's, both parties' work of it. Sizes are those promised, but for the cold comparison, whose cost grows
with its keys. A quick look:

    scripts/bench leak --set subjects=50000 --set leaked=10000 --set own=100000 --set cold=5000 --set cold_leaked=5000
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench_registry import running
from daxa_client import RegistryClient
from daxa_core.canonical import canonical_key
from daxa_core.leaks import Confidence, Leak, Progress, Tlp, load
from daxa_core.model import Kind, Manner, Sighting
from daxa_registry.config import read_operator
from daxa_registry.deployment import Plan, make_deployment
from daxa_registry.rpc.operator import Operator
from daxa_registry.store.sqlite import SqliteStore
from setup_env import ROOT

Row = dict[str, Any]
MEMBERS = ("upbit", "bithumb", "coinone", "korbit", "gopax")
PROGRAM = ("-c", "from daxa_registry.cli import main; main()")
PSI = "openmined-psi==2.0.6"
MOST_MIB = 64


def row(name: str, value: float, unit: str, target: str, ok: bool, detail: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "ok": ok, "detail": detail}


def market(store: SqliteStore, subjects: int, known: list[bytes]) -> None:
    """That many subjects over five members, two addresses each; the first of them have the keys that leak."""
    rng = random.Random(5)
    hour = int(time.time()) // 3_600
    places = [rng.randbytes(64) for _ in range(subjects)]
    stacks = [rng.randbytes(32) for _ in range(200)]

    def sighting(number: int, key: bytes) -> Sighting:
        place, stack = places[rng.randrange(subjects)], stacks[number % 200]
        at = hour - rng.randrange(48)
        return Sighting(key, place[:32], place[32:], at, Manner.USED, 3, stack, None, number.to_bytes(16, "big"))

    for start in range(0, subjects, 10_000):
        rows: dict[str, list[Sighting]] = {member: [] for member in MEMBERS}
        for number in range(start, min(start + 10_000, subjects)):
            key = known[number] if number < len(known) else rng.randbytes(32)
            rows[MEMBERS[number % 5]] += [sighting(number, key), sighting(number, key)]
        with store.transaction():
            for member, sightings in rows.items():
                store.absorb(store.member_id(member), sightings, lambda _: {})


def ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


class Callbacks:
    """Five members that watch: how many verdicts each was called back with, and when the last came."""

    def __init__(self, folder: Path, each: int) -> None:
        self._each = each
        self._clients = {m: RegistryClient.from_file(folder / f"members/{m}/client.toml") for m in MEMBERS}
        self._after = dict.fromkeys(MEMBERS, 0)

    def wait(self) -> threading.Thread:
        """Waits for as many more at every member; done when the thread ends."""

        def everybody() -> None:
            threads = [threading.Thread(target=self._one, args=(member,)) for member in MEMBERS]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        thread = threading.Thread(target=everybody)
        thread.start()
        return thread

    def _one(self, member: str) -> None:
        for _, verdict in zip(range(self._each), self._clients[member].watch(self._after[member]), strict=False):
            self._after[member] = verdict.sequence

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def notice(subjects: int, leaked: int) -> list[Row]:
    """An operator loads a file, and verifies what was loaded; a tenth of its keys belong to the five members."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch) / "deployment"
        make_deployment(folder, Plan(MEMBERS, ports=ports(4)))
        for index in (1, 2):  # as many as are asked
            evaluator = folder / f"evaluators/{index}/evaluator.toml"
            stack.enter_context(running(*PROGRAM, "evaluator", str(evaluator)))
        operator = stack.enter_context(Operator(read_operator(folder / "operators/daxa/operator.toml"), "bench"))
        keys = [secrets.token_hex(20) for _ in range(leaked)]
        known = operator.evaluated(Kind.KEY, [canonical_key(key) for key in keys[: leaked // 10]])
        random.Random(2).shuffle(keys)
        dump = folder / "dump.txt"
        dump.write_text("".join(f"user{n:06}@example.com;{key};{n:x};2022-12-28\n" for n, key in enumerate(keys)))
        data = folder / "registry/data"
        data.mkdir(exist_ok=True)
        with contextlib.closing(SqliteStore(data / "registry.sqlite")) as store:
            market(store, subjects, known)
        stack.enter_context(running(*PROGRAM, "serve", str(folder / "registry/registry.toml")))
        calls = stack.enter_context(contextlib.closing(Callbacks(folder, len(known) // 5)))
        waiting = calls.wait()
        time.sleep(1.0)
        evaluating: list[tuple[float, float]] = []

        def fingerprints(canonical: Sequence[bytes]) -> list[bytes]:
            start = time.perf_counter()
            made = operator.evaluated(Kind.KEY, canonical)
            evaluating.append((start, time.perf_counter()))
            return made

        began = time.perf_counter()
        progress = Progress("", secrets.token_bytes(16))
        operator.leaks.open(progress.leak_id, Leak("bench", "bench", 1_000_000_000, Tlp.AMBER))
        with dump.open("rb") as file:
            send = partial(operator.leaks.add, progress.leak_id)
            progress = load(file, progress, fingerprints, send, lambda now: None)
        assert progress.sent == leaked, progress
        operator.leaks.commit(progress.leak_id)
        waiting.join()
        told = time.perf_counter()
        waiting = calls.wait()
        operator.leaks.judge(1, Confidence.VERIFIED, "bench", dry_run=False)
        waiting.join()
        verified = time.perf_counter() - told
    took = sum(end - start for start, end in evaluating)
    beyond, after = told - began - took, told - evaluating[-1][1]
    detail = f"{leaked:,} leaked, {len(known):,} of them issued by five members with {subjects:,} keys"
    return [
        row("leak: from the load's start to the last callback", beyond, "s", "<= 60", beyond <= 60.0,
            f"beyond {took:.0f} s of fingerprinting by two evaluators on this machine; {detail}"),
        row("leak: from the last fingerprint to the last callback", after, "s", "<= 5", after <= 5.0, detail),
        row("leak: from its verification to the last callback", verified, "s", "<= 5", verified <= 5.0, detail),
    ]  # fmt: skip


# reading

_READ = """
import io, json, random, sys, time
from hashlib import sha256
from daxa_core.leaks import Progress, load

def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

class Dump(io.RawIOBase):
    # Made as it is read: pastes with a key a line, a line without an end, a word without an end, junk.
    def __init__(self, left):
        self.left, self.rng, self.turn, self.keys = left, random.Random(1), 0, 0
    def readable(self):
        return True
    def seekable(self):
        return False
    def read(self, size=-1):
        size = min(size, self.left)
        self.left -= size
        self.turn += 1
        if self.turn % 4 == 1:
            self.keys += size // 114
            lines = (f"user{n:06}@example.com;{self.rng.randbytes(20).hex()};{'x' * 44};2022\\n" for n in range(size // 114))
            return "".join(lines).encode().ljust(size, b" ")[:size]
        return (self.rng.randbytes(size), b"{" * size, b"A" * size)[self.turn % 3]

before = held()
dump = Dump(int(sys.argv[1]))
began = time.perf_counter()
hashed = lambda keys: [sha256(key).digest() for key in keys]
sent = load(dump, Progress("", bytes(16)), hashed, lambda prints: None, lambda now: None)
print(json.dumps([time.perf_counter() - began, held() - before, sent.sent, dump.keys]))
"""


def reading(megabytes: int) -> list[Row]:
    """The loader alone, in a process of its own: fingerprints are SHA-256, and go nowhere. What it holds does not grow with the
    dump: half of it holds about as much."""
    found = []
    for size in (megabytes * 500_000, megabytes * 1_000_000):
        command = [sys.executable, "-c", _READ, str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    (_, less, _, _), (seconds, held, sent, keys) = found
    # None is lost; in so much junk there may be a word beside three letters that read like a label.
    assert keys <= sent <= keys + 5, found
    grown = held / 1024
    detail = f"{megabytes:,} MB made as they are read, {sent:,} keys, {megabytes / seconds:.0f} MB/s"
    return [
        row("reading a dump: memory beside the loader's own", grown, "MiB", f"<= {MOST_MIB}", grown <= MOST_MIB,
            f"{detail}; half of it {less / 1024:.0f} MiB"),
    ]  # fmt: skip


# screening

_SCREEN = """
import json, sys, time
from pathlib import Path
from daxa_client._leaks import PublishedSet
from daxa_client._screening import ScreeningCache, screen
from daxa_core.leak_set import Shape, chunk_digest
from daxa_core.leaks import Confidence

folder = Path(sys.argv[1])
names = json.loads((folder / "set.json").read_text())
shape = Shape.of(names["keys"])

class Client:
    def sets(self):
        return [PublishedSet(1, shape, tuple(map(bytes.fromhex, names["chunks"])), Confidence.VERIFIED)]
    def chunk(self, one, number):
        return (folder / f"chunk-{number}").read_bytes()
    def fingerprints(self, canonical):
        from hashlib import sha256
        return [sha256(one).digest() for one in canonical]
    def confirm(self, prints):
        leaked = set(names["hits"])
        return {one: [] for one in prints if one.hex() in leaked}

for run in range(2):
    # Warm: the blocks and the chunks are known from the first run.
    began = time.perf_counter()
    with ScreeningCache(folder / "cache", bytes(32), bytes(32)) as cache, open(folder / "keys.csv", "rb") as file:
        result = screen(Client(), cache, file)
    seconds = time.perf_counter() - began
    if sys.argv[2] == "cold":
        break
    if run == 0 and result.evaluated:
        sys.exit("the cache was not warm")
held = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([seconds, held, len(result.hits), result.keys, result.evaluated]))
"""


def screening(own: int, leaked: int) -> list[Row]:
    """The member's side alone: the fingerprints are SHA-256, which costs nothing beside; with a warm cache they are not made."""
    from hashlib import sha256

    from daxa_core.canonical import canonical_key
    from daxa_core.leak_set import Shape, chunk_digest, encode

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        keys = [secrets.token_hex(20) for _ in range(own)]
        hits = [sha256(canonical_key(key)).digest() for key in keys[:: max(own // 100, 1)][:100]]
        prints = hits + [secrets.token_bytes(32) for _ in range(leaked - len(hits))]
        shape = Shape.of(leaked)
        parts: list[list[int]] = [[] for _ in range(shape.chunks)]
        for value in sorted({shape.value(one) for one in prints}):
            parts[shape.chunk_of(value)].append(value)
        chunks = [encode(shape, part, number) for number, part in enumerate(parts)]
        for number, chunk in enumerate(chunks):
            (folder / f"chunk-{number}").write_bytes(chunk)
        manifest = {
            "keys": leaked, "chunks": [chunk_digest(chunk).hex() for chunk in chunks], "hits": [one.hex() for one in hits],
        }  # fmt: skip
        (folder / "set.json").write_text(json.dumps(manifest))
        (folder / "keys.csv").write_text("\n".join(keys) + "\n")
        del keys
        outputs = []
        for how in ("cold", "warm"):
            done = subprocess.run(
                [sys.executable, "-c", _SCREEN, str(folder), how], capture_output=True, text=True, check=True
            )
            outputs.append(json.loads(done.stdout))
        seconds, most, found, counted, evaluated = outputs[1]
        assert (found, counted, evaluated) == (len(hits), own, 0), outputs
        size = sum(map(len, chunks))
    base = _base_kib()
    grown = (most - base) / 1024
    detail = f"{own:,} own keys, {leaked:,} leaked, {found} hits"
    ratio = size / shape.least_bytes()
    return [
        row("screening with a warm cache", seconds, "s", "<= 2", seconds <= 2.0, detail),
        row("screening: memory above an idle client's", grown, "MiB", f"<= {MOST_MIB}", grown <= MOST_MIB,
            f"the whole process {most / 1024:.0f} MiB"),
        row("published set over the least there can be", ratio, "x", "<= 1.25", ratio <= 1.25,
            f"{size:,} bytes, false positives 2^-32"),
    ]  # fmt: skip


def _base_kib() -> int:
    code = (
        "import daxa_client._screening\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


# beside private set intersection

BATCH = 256
_PROTECTS = (
    "Ours: no one server has the key, each of two proves its answers, so nobody tries guesses alone or answers wrongly; the"
    " registry sees the hits that are confirmed. Theirs: one server has the key and is believed; it sees no hit, each time anew"
)
_T = TypeVar("_T")


def _psi() -> Any:
    home = ROOT / ".cache" / "psi"
    if not (home / "private_set_intersection").is_dir():
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary",
            ":all:",
            "--no-deps",
            "--target",
            home,
        ]
        if subprocess.run([*pip, PSI], stderr=subprocess.DEVNULL).returncode:
            return None
    sys.path.insert(0, str(home))
    try:
        import private_set_intersection.python as psi
    except ImportError:
        return None
    return psi


def beside(own: int, leaked: int) -> list[Row]:
    """Both sides of both, on this machine: all blinding, evaluating with its proof, checking, unblinding and looking up."""
    from daxa_core import group, oprf, threshold, together
    from daxa_core.canonical import canonical_key
    from daxa_core.leak_set import Shape, decode, encode

    psi = _psi()
    if psi is None:
        return [row("screening beside openmined-psi", 0.0, "x", "", True, "left out: the wheel cannot be had here")]
    theirs = [secrets.token_hex(20) for _ in range(leaked)]
    hits = min(own, leaked) // 100
    ours = theirs[:hits] + [secrets.token_hex(20) for _ in range(own - hits)]
    commitments, shares = threshold.deal(group.random_scalar(), 2, 3)
    asked = [(share, threshold.public_share(share.index, tuple(commitments))) for share in shares[:2]]

    def batch(keys: list[str]) -> tuple[list[bytes], int]:
        blinded = oprf.blind_batch([canonical_key(key) for key in keys])
        points = [one.element for one in blinded]
        answers = {share.index: oprf.evaluate_batch(share.scalar, points) for share, _ in asked}
        question = together.ask(points)
        proved = []
        moved = 64 * len(points) * len(asked)
        for share, public in asked:
            evaluated, proof = oprf.blind_evaluate(share.scalar, public, [question.element])
            proved.append(threshold.verify_partial(share.index, commitments, [question.element], evaluated, proof))
            moved += 64 + len(proof)
        return together.combine([one.blind for one in blinded], answers, question, proved), moved

    def evaluated(keys: list[str]) -> tuple[list[bytes], int]:
        """Fingerprints by two evaluators with their proofs, as many batches at once as there are cores; the bytes that moved."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            made = list(pool.map(batch, (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))))
        return [one for prints, _ in made for one in prints], sum(moved for _, moved in made)

    def looked_up(prints: list[bytes], shape: Shape, chunks: list[bytes]) -> int:
        known = {value for number, chunk in enumerate(chunks) for value in decode(shape, number, chunk)}
        return sum(shape.value(one) in known for one in prints)

    def screened() -> tuple[list[bytes], int, Shape, list[bytes], int]:
        shape = Shape.of(len(leak))
        parts: list[list[int]] = [[] for _ in range(shape.chunks)]
        for value in sorted({shape.value(one) for one in leak}):
            parts[shape.chunk_of(value)].append(value)
        chunks = [encode(shape, part, number) for number, part in enumerate(parts)]
        prints, moved = evaluated(ours)
        return prints, moved + sum(map(len, chunks)), shape, chunks, looked_up(prints, shape, chunks)

    def intersected() -> tuple[int, int]:
        server, client = psi.server.CreateWithNewKey(True), psi.client.CreateWithNewKey(True)
        setup = server.CreateSetupMessage(2.0**-30, len(ours), theirs, psi.DataStructure.GCS)
        request = client.CreateRequest(ours)
        response = server.ProcessRequest(request)
        common = client.GetIntersection(setup, response)
        return setup.ByteSize() + request.ByteSize() + response.ByteSize(), len(common)

    leak, _ = evaluated(theirs)  # the loader's work, once for all members and all screenings
    cold, cold_core, (prints, cold_bytes, shape, chunks, found) = _timed(screened)
    warm, _, again = _timed(lambda: looked_up(prints, shape, chunks))
    warm_bytes = 32 * len(chunks)  # the manifest alone
    psi_seconds, psi_core, (psi_bytes, psi_found) = _timed(intersected)
    assert found == again == psi_found == hits, (found, again, psi_found)
    detail = f"{own:,} own, {leaked:,} leaked"
    a_key = (
        f"ours {cold / own * 1e6:.0f} us a key on {os.cpu_count()} cores, theirs {psi_seconds / own * 1e6:.0f} on one"
    )
    core = f"ours {cold_core / own * 1e6:.0f} us a key, theirs {psi_core / own * 1e6:.0f}"
    return [
        row("screening, cold cache, over openmined-psi", cold / psi_seconds, "x", "< 1", cold < psi_seconds,
            f"{detail}; {a_key}. {_PROTECTS}"),
        row("the same in cores' time", cold_core / psi_core, "x", "", True, core),
        row("screening, second run, over openmined-psi", warm / psi_seconds, "x", "< 1", warm < psi_seconds, detail),
        row("bytes moved in the second run over openmined-psi", warm_bytes / psi_bytes, "x", "< 1",
            warm_bytes < psi_bytes, f"{warm_bytes:,} against {psi_bytes:,}; the first run {cold_bytes:,}"),
    ]  # fmt: skip


def _timed(work: Callable[[], _T]) -> tuple[float, float, _T]:
    """Seconds by the clock, seconds of all cores, and what came of it."""
    core, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.perf_counter() - wall, time.process_time() - core, result


def run(
    subjects: int = 1_000_000,
    leaked: int = 100_000,
    own: int = 1_000_000,
    cold: int = 20_000,
    cold_leaked: int = 20_000,
    dump: int = 300,
) -> list[Row]:
    """``subjects``: of the market, one member's fifth each; ``own``: keys of the inventory; ``cold``, ``cold_leaked``: of the
    comparison with a cold cache; ``dump``: megabytes that are read."""
    return [
        *notice(subjects, leaked),
        *reading(dump),
        *screening(own, leaked),
        *beside(cold, cold_leaked),
    ]
