"""Canonical forms: the known answers of version 1, what is one value, and what is refused."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core import canonical
from daxa_core.errors import DaxaError, InvalidInput
from daxa_core.model import Device, Kind

KNOWN = canonical.known_answers()
VECTORS, REFUSALS = KNOWN["vectors"], KNOWN["refusals"]
assert VECTORS, "no known answers were loaded"
assert REFUSALS, "no known refusals were loaded"


def _name(vector: dict[str, Any]) -> str:
    return f"{vector['kind']}-{ascii(json.dumps(vector['input'], ensure_ascii=False))[:40]}"


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_a_known_answer_holds(vector: dict[str, Any]) -> None:
    """The bytes of version 1 never change: a change would part every member that has it from those that have not."""
    assert vector["canonical"] == canonical.canonical(Kind[vector["kind"]], vector["input"]).hex()


@pytest.mark.parametrize("vector", REFUSALS, ids=_name)
def test_a_known_refusal_holds(vector: dict[str, Any]) -> None:
    """What cannot be canonicalised is refused with the same code everywhere, and the text never holds the value."""
    with pytest.raises(InvalidInput) as caught:
        canonical.canonical(Kind[vector["kind"]], vector["input"])
    assert vector["code"] == caught.value.code
    value = vector["input"]
    shown = str(caught.value)
    assert not (isinstance(value, str) and len(value) > 4 and value in shown)


def test_every_kind_has_known_answers_and_refusals() -> None:
    """No kind was forgotten, and every known answer begins with the version and its own kind."""
    names = {kind.name for kind in Kind}
    assert names == {vector["kind"] for vector in VECTORS} == {vector["kind"] for vector in REFUSALS}
    for vector in VECTORS:
        prefix = b"daxa" + bytes([canonical.CANONICAL_VERSION, Kind[vector["kind"]]])
        assert bytes.fromhex(vector["canonical"]).startswith(prefix)


def test_the_self_test_runs_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``doctor`` runs counts every vector, and a build that differs in one is named."""
    assert len(VECTORS) + len(REFUSALS) == canonical.self_test()
    wrong = json.loads(json.dumps(KNOWN))
    wrong["vectors"][3]["canonical"] += "00"
    monkeypatch.setattr(canonical, "known_answers", lambda: wrong)
    with pytest.raises(InvalidInput, match=r"vectors\[3\]"):
        canonical.self_test()
    wrong["vectors"].pop(3)
    wrong["refusals"][0]["input"] = "fine"
    with pytest.raises(InvalidInput, match=r"refusals\[0\]"):
        canonical.self_test()


@given(st.uuids())
def test_a_uuid_is_one_key_in_any_case(value: object) -> None:
    """Coinone's and Gopax's keys arrive in either case."""
    assert canonical.canonical_key(str(value).upper()) == canonical.canonical_key(str(value))


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=40, max_size=40))
def test_a_key_of_letters_and_digits_is_taken_as_it_is(key: str) -> None:
    """Upbit's keys tell upper from lower case."""
    assert canonical.canonical_key(key).endswith(key.encode())


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "\ta", "é", "x" * 129, "a\x00"])
def test_a_key_that_would_need_a_guess_is_refused(key: str) -> None:
    """White space, control characters, other scripts and absurd lengths; the error does not show the key."""
    with pytest.raises(InvalidInput, match="^INVALID_KEY: key: 1 to 128 visible ASCII characters$"):
        canonical.canonical_key(key)


def _taken(address: ipaddress.IPv4Address) -> bool:
    try:
        return bool(canonical.canonical_address(str(address)))
    except InvalidInput:
        return False


@given(st.ip_addresses(v=4).filter(_taken))
def test_an_ipv4_address_is_the_same_however_it_is_written(address: ipaddress.IPv4Address) -> None:
    """IPv4-mapped IPv6, as a dual-stack socket shows it, and NAT64 are the IPv4 address."""
    plain = canonical.canonical_address(str(address))
    assert (
        plain == canonical.canonical_address(f"::ffff:{address}") == canonical.canonical_address(f"64:ff9b::{address}")
    )
    assert plain.endswith(address.packed)
    assert canonical.canonical_network(str(address)).endswith(address.packed[:3])


@given(st.ip_addresses(v=4))
def test_what_is_taken_is_global(address: ipaddress.IPv4Address) -> None:
    """Nothing private, reserved or multicast passes, whatever this interpreter's own list says of the rest."""
    if address.is_private or address.is_multicast or address.is_loopback or address.is_reserved:
        assert not _taken(address)


@given(st.text(max_size=50))
def test_no_text_raises_anything_else(text: str) -> None:
    """Any text is canonical or refused with a typed error; another exception's text could hold the value."""
    for kind in Kind:
        with pytest.raises(DaxaError) as plain:  # the words of a refusal, which a text may happen to be part of
            canonical.canonical(kind, "")
        try:
            shown = ""
            form = canonical.canonical(kind, text)
        except DaxaError as error:
            shown, form = str(error), b"daxa" + bytes([1, kind])
        assert form.startswith(b"daxa" + bytes([1, kind]))
        assert len(text) <= 4 or text in str(plain.value) or text not in shown


@pytest.mark.parametrize("value", [None, 1, b"8.8.8.8", ("8.8.8.8",)])
@pytest.mark.parametrize("kind", [Kind.KEY, Kind.ADDRESS, Kind.NETWORK, Kind.DEVICE])
def test_what_is_no_text_is_refused(kind: Kind, value: object) -> None:
    """``ipaddress`` takes numbers and packed bytes as addresses: a JSON number would silently become one."""
    with pytest.raises(InvalidInput):
        canonical.canonical(kind, value)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_an_ipv6_customer_is_a_slash_64(one: int, two: int) -> None:
    """Privacy extensions change the lower half by the hour: they must not make a new address."""
    prefix = int(ipaddress.ip_address("2404:4408:1234:5678::"))
    first, second = (str(ipaddress.ip_address(prefix | host)) for host in (one, two))
    assert canonical.canonical_address(first) == canonical.canonical_address(second)


@pytest.mark.parametrize(
    "address",
    ["", "8.8.8", "8.8.8.08", "8.8.8.8:443", "[2404::1]", "10.0.0.1", "127.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "::",
     "0.0.0.0", "224.0.0.1", "203.0.113.9", "fe80::1%eth0", "8.8.8.8%eth0", "::ffff:10.0.0.1", "x" * 200],
)  # fmt: skip
def test_what_is_no_customers_address_is_refused(address: str) -> None:
    """Private, reserved, malformed, with a port: a gateway that sees its own proxy would join everybody in one place."""
    with pytest.raises(InvalidInput, match="INVALID_ADDRESS") as caught:
        canonical.canonical_address(address)
    assert not address or address not in str(caught.value).removeprefix("INVALID_ADDRESS: address: ")


def test_private_addresses_can_be_allowed_but_never_loopback() -> None:
    """The setting for laboratories takes 10/8, and still refuses what no customer can have."""
    assert canonical.canonical_address("10.0.0.1", allow_non_global=True)
    for address in ("127.0.0.1", "0.0.0.0", "224.0.0.1"):
        with pytest.raises(InvalidInput):
            canonical.canonical_address(address, allow_non_global=True)


@given(
    st.lists(st.tuples(st.text("abc-", min_size=1, max_size=5), st.text("xyz", max_size=5)), max_size=4, unique=True)
)
def test_headers_count_in_any_order_and_case(headers: list[tuple[str, str]]) -> None:
    """Proxies reorder headers and change the case of their names."""
    device = Device("agent", None, tuple(headers))
    other = Device("agent", None, tuple((name.upper(), value) for name, value in reversed(headers)))
    assert canonical.canonical_device(device) == canonical.canonical_device(other)


@given(st.text("ab", max_size=4), st.text("ab", max_size=4), st.text("ab", max_size=4), st.text("ab", max_size=4))
def test_devices_with_other_parts_are_other_devices(a: str, b: str, c: str, d: str) -> None:
    """The parts' lengths are in the bytes: no two different devices run together."""
    if not (a or b) or not (c or d):
        return
    same = canonical.canonical_device(Device(a, b)) == canonical.canonical_device(Device(c, d))
    assert ((a, b) == (c, d)) == same


@pytest.mark.parametrize("device", [Device(), Device("a\nb"), Device("x" * 513), Device(ja4="t13 d"), Device("\ud800")])
def test_a_device_that_is_none_is_refused(device: Device) -> None:
    """Empty, with control characters, too long, no JA4, no Unicode."""
    with pytest.raises(InvalidInput, match="INVALID_DEVICE"):
        canonical.canonical_device(device)


@given(st.binary(min_size=1, max_size=30), st.binary(min_size=1, max_size=30))
def test_holders_are_exact(one: bytes, other: bytes) -> None:
    """Two holders are the same only where their bytes are."""
    assert (one == other) == (canonical.canonical_holder(one) == canonical.canonical_holder(other))


def test_kinds_never_collide() -> None:
    """The same text as a key and as a holder are different inputs."""
    assert canonical.canonical_key("abc") != canonical.canonical_holder("abc")


@pytest.mark.parametrize("holder", [b"", b"x" * 513, "\ud800"])
def test_a_holder_has_1_to_512_bytes(holder: bytes | str) -> None:
    """Exact bytes, within bounds."""
    with pytest.raises(InvalidInput, match="INVALID_HOLDER"):
        canonical.canonical_holder(holder)
