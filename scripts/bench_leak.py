"""Leaks: from the start of a load to the last issuer's callback; a screening with a warm cache; and one with a cold cache beside
the private-set-intersection wheel ``openmined-psi`` on the same sets.

The notice is measured on a registry process over mutual TLS, with five members that watch: what is counted is what they were
called back with. Fingerprints are made before the clock starts, as the promise has it. The screening runs in a process of its
own; its memory is the most that the process held. The cold screening is blinded, evaluated by two evaluators with their proofs,
checked and unblinded, all on this machine. Sizes are small without ``--set``:

    scripts/bench leak --set subjects=1000000 --set own=1000000
"""

from __future__ import annotations

import json
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench_registry import elements, running
from daxa_client import RegistryClient
from daxa_core.leaks import Leak, Tlp
from daxa_core.model import Manner, Sighting
from daxa_registry.config import read_operator
from daxa_registry.deployment import Plan, make_deployment
from daxa_registry.rpc.operator import Operator
from daxa_registry.store.sqlite import SqliteStore
from setup_env import ROOT

Row = dict[str, Any]
MEMBERS = ("upbit", "bithumb", "coinone", "korbit", "gopax")
SERVE = ("-c", "from daxa_registry.cli import main; main()", "serve")
PSI = "openmined-psi==2.0.6"
MOST_MIB = 64


def row(name: str, value: float, unit: str, target: str, ok: bool, detail: str) -> Row:
    return {"name": name, "value": value, "unit": unit, "target": target, "ok": ok, "detail": detail}


def market(store: SqliteStore, subjects: int, known: list[bytes]) -> None:
    """That many subjects over five members, two addresses each; the first of them have the keys that leak."""
    rng = random.Random(5)
    hour = int(time.time()) // 3_600
    keys = known + [secrets.token_bytes(32) for _ in range(subjects - len(known))]
    places = [(secrets.token_bytes(32), secrets.token_bytes(32)) for _ in range(subjects)]
    stacks = [secrets.token_bytes(32) for _ in range(200)]
    rows: dict[str, list[Sighting]] = {member: [] for member in MEMBERS}
    for number, key in enumerate(keys):
        for _ in range(2):
            address, network = places[rng.randrange(subjects)]
            rows[MEMBERS[number % 5]].append(
                Sighting(
                    key, address, network, hour - rng.randrange(48), Manner.USED, 3, stacks[number % 200], None,
                    number.to_bytes(16, "big"),
                )
            )  # fmt: skip
    for member, sightings in rows.items():
        for start in range(0, len(sightings), 20_000):
            with store.transaction():
                store.absorb(store.member_id(member), sightings[start : start + 20_000], lambda _: {})


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
    """A tenth of the leaked keys belong to the five members."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "deployment"
        make_deployment(folder, Plan(MEMBERS, 1, 1, ports=ports(2)))
        known = elements(leaked // 10)
        fingerprints = known + elements(leaked - len(known))
        data = folder / "registry/data"
        data.mkdir(exist_ok=True)
        store = SqliteStore(data / "registry.sqlite")
        market(store, subjects, known)
        store.close()
        random.Random(2).shuffle(fingerprints)
        with running(*SERVE, str(folder / "registry/registry.toml")):
            calls = Callbacks(folder, len(known) // 5)
            waiting = calls.wait()
            time.sleep(1.0)
            with Operator(read_operator(folder / "operators/daxa/operator.toml"), "bench") as operator:
                began = time.perf_counter()
                leak_id = secrets.token_bytes(16)
                operator.leaks.open(leak_id, Leak("bench", "bench", 1_000_000_000, Tlp.AMBER))
                for start in range(0, len(fingerprints), 10_000):
                    operator.leaks.add(leak_id, fingerprints[start : start + 10_000])
                loaded = time.perf_counter()
                operator.leaks.commit(leak_id)
                waiting.join()
                told = time.perf_counter()
                waiting = calls.wait()
                operator.leaks.judge(1, _verified(), "bench", dry_run=False)
                waiting.join()
                verified = time.perf_counter()
            calls.close()
    detail = f"{leaked:,} leaked, {len(known):,} of them issued by five members with {subjects:,} keys"
    return [
        row("leak: fingerprints sent to the last callback", told - began, "s", "<= 5", told - began <= 5.0,
            f"{detail}; sending {loaded - began:.1f} s"),
        row("leak: verified to the last callback", verified - told, "s", "<= 5", verified - told <= 5.0, detail),
    ]  # fmt: skip


def _verified() -> Any:
    from daxa_core.leaks import Confidence

    return Confidence.VERIFIED


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
    assert sent == keys, found
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
    from daxa_core import group, oprf, threshold
    from daxa_core.canonical import canonical_key
    from daxa_core.leak_set import Shape, decode, encode

    psi = _psi()
    if psi is None:
        return [row("screening beside openmined-psi", 0.0, "x", "", True, "left out: the wheel cannot be had here")]
    theirs = [secrets.token_hex(20) for _ in range(leaked)]
    ours = theirs[: own // 100] + [secrets.token_hex(20) for _ in range(own - own // 100)]
    commitments, shares = threshold.deal(group.random_scalar(), 2, 3)
    asked = [(share, threshold.public_share(share.index, tuple(commitments))) for share in shares[:2]]

    def evaluated(keys: list[str]) -> tuple[list[bytes], int]:
        """Fingerprints by two evaluators with their proofs, and the bytes that moved."""
        out: list[bytes] = []
        moved = 0
        for start in range(0, len(keys), 256):
            blinded = oprf.blind_batch([canonical_key(key) for key in keys[start : start + 256]], threads=2)
            points = [one.element for one in blinded]
            partials = []
            for share, public in asked:
                answers, proof = oprf.blind_evaluate(share.scalar, public, points, threads=2)
                partials.append(threshold.verify_partial(share.index, commitments, points, answers, proof, threads=2))
                moved += 32 * len(points) * 2 + len(proof)
            out += threshold.combine_verified([one.blind for one in blinded], partials, 2)
        return out, moved

    def looked_up(prints: list[bytes], shape: Shape, chunks: list[bytes]) -> int:
        known = {value for number, chunk in enumerate(chunks) for value in decode(shape, number, chunk)}
        return sum(shape.value(one) in known for one in prints)

    leak, _ = evaluated(theirs)  # the loader's work, once for all members and all screenings
    began = time.perf_counter()
    shape = Shape.of(len(leak))
    parts: list[list[int]] = [[] for _ in range(shape.chunks)]
    for value in sorted({shape.value(one) for one in leak}):
        parts[shape.chunk_of(value)].append(value)
    chunks = [encode(shape, part, number) for number, part in enumerate(parts)]
    prints, moved = evaluated(ours)
    found = looked_up(prints, shape, chunks)
    cold = time.perf_counter() - began
    cold_bytes = moved + sum(map(len, chunks))
    began = time.perf_counter()
    again = looked_up(prints, shape, chunks)
    warm = time.perf_counter() - began
    warm_bytes = 32 * len(chunks)  # the manifest alone

    def intersected() -> tuple[float, int, int]:
        began = time.perf_counter()
        server, client = psi.server.CreateWithNewKey(True), psi.client.CreateWithNewKey(True)
        setup = server.CreateSetupMessage(2.0**-30, len(ours), theirs, psi.DataStructure.GCS)
        request = client.CreateRequest(ours)
        response = server.ProcessRequest(request)
        common = client.GetIntersection(setup, response)
        seconds = time.perf_counter() - began
        return seconds, setup.ByteSize() + request.ByteSize() + response.ByteSize(), len(common)

    theirs_seconds, theirs_bytes, theirs_found = intersected()
    assert found == again == theirs_found == own // 100, (found, again, theirs_found)
    a_key = f"ours {cold / own * 1e6:.0f} us a key, openmined-psi {theirs_seconds / own * 1e6:.0f}"
    detail = f"{own:,} own, {leaked:,} leaked; {a_key}"
    return [
        row("screening, cold cache, over openmined-psi", cold / theirs_seconds, "x", "< 1", cold < theirs_seconds,
            f"{detail}. Ours shows the registry only the hits that are confirmed; theirs shows it nothing, each time anew"),
        row("screening, second run, over openmined-psi", warm / theirs_seconds, "x", "< 1", warm < theirs_seconds, detail),
        row("bytes moved in the second run over openmined-psi", warm_bytes / theirs_bytes, "x", "< 1",
            warm_bytes < theirs_bytes, f"{warm_bytes:,} against {theirs_bytes:,}; the first run {cold_bytes:,}"),
    ]  # fmt: skip


def run(
    subjects: int = 100_000, leaked: int = 100_000, own: int = 1_000_000, cold: int = 20_000, dump: int = 300
) -> list[Row]:
    """``subjects``: of the market, one member's fifth each; ``own``: keys of the inventory; ``cold``: of the cold comparison;
    ``dump``: megabytes that are read."""
    return [*notice(subjects, leaked), *reading(dump), *screening(own, leaked), *beside(cold, cold)]
