"""Whose address it was: trusted proxies are believed, from the right, and nobody else is."""

from __future__ import annotations

import time
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
        (['proto=http;host="a,for=6.6.6.6";for="198.51.100.7:51000"'], "198.51.100.7"),
        (['for=198.51.100.7;host="a,b"'], "198.51.100.7"),
        (['for="x, for=198.51.100.7;host="a,b"'], "198.51.100.7"),
        (['for=6.6.6.6;x=", for=198.51.100.7;host="a\\",for=6.6.6.6;x=\\""'], "198.51.100.7"),
        (['for=198.51.100.7;host="a\\\\", for="10.\\1.1.1"; by="\\\\"'], "198.51.100.7"),
        (["for=198.51.100.7, for=unix:"], "198.51.100.7"),
        (["for=198.51.100.7;;proto=http;"], "198.51.100.7"),
        (["for=198.51.100.7;for=6.6.6.6"], None),
        (['for=198.51.100.7;host="a'], None),
        (["for=198.51.100.7;host=a b"], None),
        (['for=6.6.6.6;x=", for=198.51.100.7;host="a\\"'], None),
        (["by=203.0.113.43"], None),
        (["192.0.2.1"], None),
    ],
)
def test_forwarded(values: list[str], found: str | None) -> None:
    """RFC 7239, quotes and all; what an element says twice or out of form it does not say, and never what stands to its left."""
    assert TrustedProxies(TRUSTED, "Forwarded").client(PEER, values) == found


def test_without_a_socket_setting_a_nameless_peer_is_nobody() -> None:
    """A Unix socket is trusted where that was said, and only there."""
    assert TrustedProxies(["10.0.0.0/8"]).client("", ["192.0.2.1"]) is None
    assert TrustedProxies().client("192.0.2.9", ["192.0.2.1"]) == "192.0.2.9"


def test_a_peer_on_a_unix_socket_as_nginx_writes_it() -> None:
    """``unix:`` is the socket that was trusted, as a peer and as a hop; where none was, it is nobody."""
    proxies = TrustedProxies(["10.0.0.0/8", "unix"])
    assert proxies.client("unix:", ["192.0.2.1"]) == "192.0.2.1"
    assert proxies.client(PEER, ["192.0.2.1, unix:"]) == "192.0.2.1"
    assert proxies.client(PEER, ["unix:"]) is None
    assert TrustedProxies(["10.0.0.0/8"]).client("unix:", ["192.0.2.1"]) is None
    assert TrustedProxies(["10.0.0.0/8"]).client(PEER, ["192.0.2.1, unix:"]) is None


@pytest.mark.parametrize("networks", [None, 7, True])
def test_networks_that_are_no_list_are_named(networks: Any) -> None:
    """As a wrong setting, not as a TypeError."""
    with pytest.raises(ConfigurationError, match="trusted_proxies: a list of networks"):
        TrustedProxies(networks)


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


HOPS = st.lists(st.sampled_from(["10.7.7.7", "fd00::9", "unix:"]), max_size=3)
PIECES = [*list('a9.:;,="\\ []'), "for", "for=6.6.6.6", '",for=6.6.6.6;x="', "\\\\"]
IN_A_HOST = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


def element(address: str, host: str, order: int) -> str:
    """What a proxy that keeps to RFC 7239 writes of a connection and the Host that the customer sent."""
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    node = f'"[{address}]:4711"' if ":" in address.rstrip(":") else address
    parts = [f"for={node}", f'host="{quoted}"', "proto=http"]
    return ";".join(parts[order:] + parts[:order])


@given(
    st.lists(IN_A_HOST, max_size=3), st.lists(IN_A_HOST, min_size=1, max_size=4), HOPS, st.integers(0, 2),
    st.sampled_from(["198.51.100.7", "2001:db8::7"]), st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=500)
def test_a_host_that_a_proxy_copies_chooses_no_address(
    sent: list[str], hosts: list[str], hops: list[str], order: int, client: str, one_line: bool
) -> None:
    """Each trusted proxy quotes the Host it was sent, full of commas, quotes and backslashes; before it stands what the
    customer sent as Forwarded, quotes open or not. The address is always the one that the first trusted proxy saw."""
    told = [element(node, hosts[place % len(hosts)], order) for place, node in enumerate([client, *hops])]
    values = [", ".join([*sent, *told])] if one_line else [*sent, *told]
    assert TrustedProxies(TRUSTED, "forwarded").client(PEER, values) == client


@given(st.text(st.sampled_from(list('fo=r;,"\\ 1.[]:')), max_size=200))
@settings(deadline=None)
def test_whatever_stands_in_forwarded_is_read_without_an_error(text: str) -> None:
    """No exception, and an address or None."""
    TrustedProxies(TRUSTED, "forwarded").client(PEER, [text])


@pytest.mark.parametrize(
    "text", [" " * 4_000 + '"', "for=" + " " * 4_000 + '"', "\\" * 4_000, '"\\' * 2_000, ";" * 4_000, "," * 4_000]
)
def test_no_header_takes_long_to_read(text: str) -> None:
    """What is written to make a parser go back and forth is read once."""
    begun = time.process_time()
    for _ in range(10):
        TrustedProxies(TRUSTED, "forwarded").client(PEER, [text])
    assert time.process_time() - begun < 1.0


def test_a_long_header_is_read_from_its_end() -> None:
    """Megabytes cost no more than a page, and do not stay in memory."""
    proxies = TrustedProxies(TRUSTED)
    assert proxies.client(PEER, ["192.0.2.1, " * 100_000 + "198.51.100.7"]) == "198.51.100.7"
