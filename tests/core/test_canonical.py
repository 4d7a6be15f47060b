"""Canonical forms: the known answers of version 1, what is one value, and what is refused."""

from __future__ import annotations

import ipaddress
import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daxa_core import canonical
from daxa_core.errors import InvalidInput
from daxa_core.model import Device, Kind

VECTORS = json.loads(resources.files("daxa_core").joinpath("vectors/canonical-v1.json").read_text("utf-8"))["vectors"]


def _canonical(kind: str, value: object) -> bytes:
    if isinstance(value, dict):
        headers = tuple((name, text) for name, text in value["headers"])
        return canonical.canonical_device(Device(value["user_agent"], value["ja4"], headers))
    return getattr(canonical, f"canonical_{kind.lower()}")(value)


def test_every_kind_has_known_answers_and_they_hold() -> None:
    """The bytes of version 1 never change: a change would part every member that has it from those that have not."""
    assert {kind.name for kind in Kind} == {vector["kind"] for vector in VECTORS}
    for vector in VECTORS:
        assert vector["canonical"] == _canonical(vector["kind"], vector["input"]).hex()


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


@given(st.ip_addresses(v=4).filter(lambda a: a.is_global and not a.is_multicast))
def test_an_ipv4_address_is_the_same_however_it_is_written(address: ipaddress.IPv4Address) -> None:
    """IPv4-mapped IPv6, as a dual-stack socket shows it, is the IPv4 address."""
    plain = canonical.canonical_address(str(address))
    assert plain == canonical.canonical_address(f"::ffff:{address}")
    assert plain.endswith(address.packed)
    assert canonical.canonical_network(str(address)).endswith(address.packed[:3])


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


def test_kinds_never_collide() -> None:
    """The same text as a key and as a holder are different inputs."""
    assert canonical.canonical_key("abc") != canonical.canonical_holder("abc")


@pytest.mark.parametrize("holder", [b"", b"x" * 513, "\ud800"])
def test_a_holder_has_1_to_512_bytes(holder: bytes | str) -> None:
    """Exact bytes, within bounds."""
    with pytest.raises(InvalidInput, match="INVALID_HOLDER"):
        canonical.canonical_holder(holder)
