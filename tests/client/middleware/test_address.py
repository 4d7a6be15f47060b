"""Whose address it was: trusted proxies are believed, from the right, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daxa_client import ConfigurationError
from daxa_client._address import TrustedProxies

TRUSTED = ["10.0.0.0/8", "fd00::/8", "unix"]
PEER = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "values", "found"),
    [
        ("198.51.100.7", [], "198.51.100.7"),
        ("198.51.100.7", ["192.0.2.1"], "198.51.100.7"),
        ("2001:db8::7", ["192.0.2.1"], "2001:db8::7"),
        ("::ffff:198.51.100.7", [], "198.51.100.7"),
        (PEER, ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("fd00::1", ["192.0.2.1"], "192.0.2.1"),
        ("", ["192.0.2.1"], "192.0.2.1"),
        (None, ["192.0.2.1"], "192.0.2.1"),
        (PEER, ["192.0.2.1, 198.51.100.7"], "198.51.100.7"),
        (PEER, ["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
        (PEER, ["192.0.2.1, 198.51.100.7, 10.9.9.9,10.8.8.8"], "198.51.100.7"),
        (PEER, ["not an address, 198.51.100.7"], "198.51.100.7"),
        (PEER, ["198.51.100.7:4711"], "198.51.100.7"),
        (PEER, ["[2001:db8::7]:4711"], "2001:db8::7"),
        (PEER, ["2001:db8::7"], "2001:db8::7"),
        (PEER, ["10.7.7.7, 10.8.8.8"], "10.7.7.7"),
        (PEER, [], None),
        (PEER, [""], None),
        (PEER, ["192.0.2.1, unknown"], None),
        (PEER, ["192.0.2.1,"], None),
        (PEER, ["192.0.2.1, 999.1.1.1"], None),
        ("testclient", [], None),
    ],
)
def test_x_forwarded_for(peer: str | None, values: list[str], found: str | None) -> None:
    """The right-most address that is no proxy's; what the customer sent stands to its left. Unknown stays unknown."""
    assert TrustedProxies(TRUSTED).client(peer, values) == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
        (['For="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"),
        (["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
        (["proto=https; for = 198.51.100.17 ;host=x, for=10.1.1.1"], "198.51.100.17"),
        (['for="192.0.2.1', "for=198.51.100.17"], "198.51.100.17"),
        (['for="192.0.2.1, x="y", for=198.51.100.17'], "198.51.100.17"),
        (["for=_hidden"], None),
        (["for=unknown"], None),
        (["by=203.0.113.43"], None),
        (["192.0.2.1"], None),
    ],
)
def test_forwarded(values: list[str], found: str | None) -> None:
    """RFC 7239; a quote that the customer opened does not swallow what the proxy appended."""
    assert TrustedProxies(TRUSTED, "Forwarded").client(PEER, values) == found


def test_without_a_socket_setting_a_nameless_peer_is_nobody() -> None:
    """A Unix socket is trusted where that was said, and only there."""
    assert TrustedProxies(["10.0.0.0/8"]).client("", ["192.0.2.1"]) is None
    assert TrustedProxies().client("192.0.2.9", ["192.0.2.1"]) == "192.0.2.9"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "x", "", 7, None, "10.0.0.0/33"])
def test_a_wrong_network_is_named(network: Any) -> None:
    """By its place; host bits that are set are a mistake in one of the two numbers."""
    with pytest.raises(ConfigurationError, match=r"trusted_proxies\[1\]"):
        TrustedProxies(["10.0.0.0/8", network])


@given(
    st.sampled_from(["x-forwarded-for", "forwarded"]), st.lists(st.text(max_size=60), max_size=4),
    st.sampled_from(["198.51.100.7", "2001:db8::7"]),
)  # fmt: skip
@settings(deadline=None)
def test_nothing_a_customer_sends_changes_his_address(header: str, sent: list[str], client: str) -> None:
    """Whatever stands in the header before the proxy's own entry, on its line or on others."""
    appended = client if header == "x-forwarded-for" else f'for="[{client}]"' if ":" in client else f"for={client}"
    proxies = TrustedProxies(TRUSTED, header)
    assert proxies.client(PEER, [*sent, appended]) == client
    assert proxies.client(PEER, [",".join([*sent, appended])]) == client
    assert proxies.client(client, sent) == client


def test_a_long_header_is_read_from_its_end() -> None:
    """Megabytes cost no more than a page, and do not stay in memory."""
    proxies = TrustedProxies(TRUSTED)
    assert proxies.client(PEER, ["192.0.2.1, " * 100_000 + "198.51.100.7"]) == "198.51.100.7"
