"""The group's edge: what the library is never given, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_core import group, suite
from daxa_core.errors import CryptoError, ErrorCode

P = 2**255 - 19
TWO = group.scalar_bytes(2)
POINT = group.base_multiply(TWO)
# RFC 9496 appendix A.3: encodings that must be refused (field elements out of range, negative, or no square).
BAD_ENCODINGS = [
    (P).to_bytes(32, "little"),
    (P + 2).to_bytes(32, "little"),
    (2**255 - 1).to_bytes(32, "little"),
    bytes([1]) + bytes(31),
    bytes.fromhex("01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20"),
    bytes.fromhex("c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562"),
    bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
]
scalars = st.integers(1, group.ORDER - 1).map(group.scalar_bytes)


@pytest.mark.parametrize("data", BAD_ENCODINGS, ids=lambda data: data.hex()[:8])
def test_an_encoding_that_is_not_canonical_is_refused(data: bytes) -> None:
    """One element, one encoding: a second would be a second fingerprint of the same identifier."""
    for refused in (
        lambda: group.element(data),
        lambda: suite.deserialize_element(data),
        lambda: group.multiply(TWO, data),
        lambda: group.add(POINT, data),
        lambda: group.add_each([POINT], [data]),
        lambda: group.multiply_each([TWO], [data]),
        lambda: group.weighted_sum([TWO], [data]),
    ):
        with pytest.raises(CryptoError) as caught:
            refused()
        assert ErrorCode.INVALID_ELEMENT is caught.value.code


def test_the_identity_is_refused() -> None:
    """The identity times any key is the identity: everybody's fingerprint would be the same."""
    for refused in (
        lambda: group.element(group.IDENTITY),
        lambda: group.multiply(TWO, group.IDENTITY),
        lambda: group.weighted_sum([TWO], [group.IDENTITY]),
    ):
        with pytest.raises(CryptoError) as caught:
            refused()
        assert ErrorCode.IDENTITY_ELEMENT is caught.value.code


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_no_call_reads_past_a_short_value(length: int) -> None:
    """The library reads 32 bytes whatever it is given, so every length is checked before a call."""
    data = b"\x01" * length
    for refused in (
        lambda: group.element(data),
        lambda: group.multiply(TWO, data),
        lambda: group.multiply(data, POINT),
        lambda: group.base_multiply(data),
        lambda: group.add(POINT, data),
        lambda: group.add(data, POINT),
        lambda: group.weighted_sum([TWO], [data]),
        lambda: group.weighted_sum([data], [POINT]),
        lambda: group.multiply_each([TWO], [data]),
        lambda: group.multiply_each([data], [POINT]),
        lambda: group.add_each([POINT], [data]),
        lambda: group.from_uniform_each([b"\x01" * (length + 1)]),
        lambda: group.scalar_int(data),
        lambda: group.secret_scalar(data),
        lambda: group.scalar_product(TWO, data),
        lambda: group.scalar_sum(data, TWO),
        lambda: group.scalar_difference(TWO, data),
        lambda: group.scalar_inverses([data]),
        lambda: group.from_uniform(b"\x01" * (length + 1)),
        lambda: group.scalar_reduce(b"\x01" * (length + 1)),
    ):
        with pytest.raises(CryptoError) as caught:
            refused()
        assert ErrorCode.INVALID_LENGTH is caught.value.code


@pytest.mark.parametrize("data", [None, "x" * 32, 7, bytearray(32)])
def test_what_is_not_bytes_is_refused(data: object) -> None:
    """ctypes would take None for a null pointer."""
    for refused in (group.element, group.secret_scalar, group.base_multiply, lambda d: group.multiply(TWO, d)):
        with pytest.raises(CryptoError, match="INVALID_LENGTH"):
            refused(data)  # type: ignore[operator]


def test_a_zero_scalar_is_refused() -> None:
    """A zero key collapses the function; a zero blind has no inverse."""
    zero = bytes(32)
    for refused in (
        lambda: group.secret_scalar(zero),
        lambda: group.base_multiply(zero),
        lambda: group.multiply(zero, POINT),
        lambda: group.scalar_inverses([TWO, zero]),
        lambda: suite.scalar_inverse(zero),
    ):
        with pytest.raises(CryptoError) as caught:
            refused()
        assert ErrorCode.INVALID_SCALAR is caught.value.code


@pytest.mark.parametrize("value", [group.ORDER, group.ORDER + 1, 2**255, 2**256 - 1])
def test_a_scalar_that_is_not_reduced_is_refused(value: int) -> None:
    """A second encoding of a scalar would be a second valid proof, or a second file of one key."""
    data = value.to_bytes(32, "little")
    for refused in (group.secret_scalar, group.scalar_int, suite.deserialize_scalar, suite.serialize_scalar):
        with pytest.raises(CryptoError, match="INVALID_SCALAR"):
            refused(data)


def test_a_batch_names_the_item_that_is_wrong() -> None:
    """The position reaches the caller, at one thread and at several."""
    points = [POINT] * 64
    points[50] = BAD_ENCODINGS[0]
    for threads in (1, 2, 3):
        with pytest.raises(CryptoError, match=r"INVALID_ELEMENT: items\[50\]"):
            group.multiply_each([TWO] * 64, points, "items", threads)


@settings(max_examples=30, deadline=None)
@given(st.lists(scalars, min_size=1, max_size=6))
def test_inverses_are_inverses(values: list[bytes]) -> None:
    """Montgomery's trick gives for each scalar what one inversion each would give."""
    one = group.scalar_bytes(1)
    assert [one] * len(values) == [
        group.scalar_product(v, i) for v, i in zip(values, group.scalar_inverses(values), strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(scalars, scalars)
def test_the_field_is_that_of_the_group(a: bytes, b: bytes) -> None:
    """Sums, differences and products of scalars are those of the multiples of the generator, and Python's."""
    x, y = group.scalar_int(a), group.scalar_int(b)
    assert group.scalar_bytes(x + y) == group.scalar_sum(a, b)
    assert group.scalar_bytes(x - y) == group.scalar_difference(a, b)
    assert group.scalar_bytes(x * y) == group.scalar_product(a, b)
    assert group.multiply(a, group.base_multiply(b)) == group.base_multiply(group.scalar_product(a, b))
    generator = suite.GENERATOR
    assert group.weighted_sum([a, b], [generator, generator]) == group.weighted_sum(
        [group.scalar_sum(a, b)], [generator]
    )


def test_many_at_once_are_as_one_by_one() -> None:
    """The calls that fill a row of results give what single calls give, for no items too."""
    uniforms = [os.urandom(64) for _ in range(20)]
    points = [group.from_uniform(uniform) for uniform in uniforms]
    weights = [group.random_scalar() for _ in points]
    assert group.from_uniform_each(uniforms) == points
    products = [group.multiply(w, p) for w, p in zip(weights, points, strict=True)]
    assert group.multiply_each(weights, points) == products
    assert group.add_each(points, products) == [group.add(a, b) for a, b in zip(points, products, strict=True)]
    total = group.IDENTITY
    for product in products:
        total = group.add(total, product)
    assert group.weighted_sum(weights, points) == total
    assert group.multiply_each([], []) == group.add_each([], []) == group.from_uniform_each([]) == []
    for uneven in (group.multiply_each, group.add_each, group.weighted_sum):
        with pytest.raises(CryptoError, match="INVALID_LENGTH"):
            uneven([TWO], [])


def test_a_sum_may_be_the_identity_and_a_zero_weight_adds_nothing() -> None:
    """Intermediate sums may vanish; only what is an answer must not."""
    minus = group.scalar_bytes(-2)
    assert group.weighted_sum([TWO, minus], [POINT, POINT]) == group.IDENTITY
    assert group.weighted_sum([TWO, minus, TWO], [POINT, POINT, POINT]) == group.multiply(TWO, POINT)
    assert group.weighted_sum([TWO, bytes(32)], [POINT, POINT]) == group.multiply(TWO, POINT)
    assert group.weighted_sum([], []) == group.IDENTITY


def test_random_scalars_are_canonical_and_differ() -> None:
    """Blinds that repeat would link what they hide."""
    drawn = {group.random_scalar() for _ in range(200)}
    assert len(drawn) == 200
    assert all(group.scalar_int(scalar) > 0 for scalar in drawn)


def test_parts_cover_the_range_in_order() -> None:
    """However many threads, every position is worked on once, and small batches stay on the caller's thread."""
    for count in (0, 1, 15, 31, 32, 100):
        for threads in (1, 2, 3, 8):
            parts = group.in_threads(lambda start, stop: list(range(start, stop)), count, threads)
            assert list(range(count)) == [i for part in parts for i in part]
    assert [threading.get_ident()] == group.in_threads(lambda *_: threading.get_ident(), 31, 8)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """A gateway that forks its workers after the first batch does not wait for threads that only the parent has."""
    code = (
        "import os\nfrom daxa_core import group\n"
        "two, point = group.scalar_bytes(2), group.base_multiply(group.scalar_bytes(3))\n"
        "work = lambda: group.multiply_each([two] * 64, [point] * 64, 'x', 2)\n"
        "expected = work()\n"
        "child = os.fork()\n"
        "if child == 0:\n    os._exit(0 if work() == expected else 1)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60).returncode == 0


def test_callers_share_the_helpers_without_waiting_for_each_other() -> None:
    """Many batches at once all come out right, however few helper threads there are."""
    points = [POINT] * 48
    expected = group.multiply_each([TWO] * 48, points)
    found: list[bool] = []
    callers = [
        threading.Thread(target=lambda: found.append(expected == group.multiply_each([TWO] * 48, points, "x", 3)))
        for _ in range(12)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [True] * 12


def test_two_threads_at_once_compute_what_one_does() -> None:
    """Calls share no buffer: results under contention are those of a quiet run."""
    work = [(group.random_scalar(), group.base_multiply(group.random_scalar())) for _ in range(40)]
    expected = [group.multiply(scalar, point) for scalar, point in work]
    found: list[list[bytes]] = [[], []]

    def run(which: int) -> None:
        for _ in range(5):
            found[which] = [group.multiply(scalar, point) for scalar, point in work]
            assert expected == found[which]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [expected, expected] == found


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a loaded library's file locked")
def test_the_library_leaves_no_file_behind(tmp_path: Path) -> None:
    """rbcl writes 2.8 MB to the temporary folder at each import: a gateway that restarts would fill its disk."""
    (tmp_path / "tmpother.so").write_bytes(b"somebody else's")
    code = "from daxa_core import group; group.base_multiply(group.random_scalar())"
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert [path.name for path in tmp_path.iterdir()] == ["tmpother.so"]
