"""The public address space of the simulated market: carriers, home providers, offices, clouds, hosting and tunnels
as separate pools.

Addresses are interned as small integers. A pool hands out addresses inside a number of /24s that grows with what it
has handed out, so that a world's density decides how many unrelated customers live in one network. Every address is
public (``ipaddress`` calls it global).

>>> book = AddressBook(np.random.default_rng(1), {"vps": 8.0})
>>> book.texts[book.take("vps")].count(".")
3
"""

from __future__ import annotations

import ipaddress

import numpy as np

# Ranges as the pools of Korea's networks look from outside; what matters is that pools do not overlap.
V4_POOLS: dict[str, tuple[str, ...]] = {
    "mobile_a": ("223.32.0.0/12", "203.226.192.0/19"),
    "mobile_b": ("39.7.0.0/16", "110.70.0.0/16", "175.223.0.0/16", "118.235.0.0/16"),
    "mobile_c": ("106.101.0.0/16", "106.102.0.0/16", "117.111.0.0/16", "211.234.0.0/16"),
    "isp_a": ("121.128.0.0/10", "175.192.0.0/12", "14.32.0.0/11", "59.0.0.0/11", "220.64.0.0/12", "118.32.0.0/12"),
    "isp_b": ("1.224.0.0/11", "58.120.0.0/13", "175.112.0.0/12", "211.58.0.0/16", "218.48.0.0/13", "219.248.0.0/13"),
    "isp_c": ("112.144.0.0/12", "182.208.0.0/12", "180.224.0.0/13", "122.32.0.0/12", "116.36.0.0/14"),
    "isp_cable": ("27.112.0.0/15", "61.98.0.0/15", "49.142.0.0/15", "124.28.0.0/15"),
    "office": ("210.90.0.0/15", "203.244.0.0/14", "211.168.0.0/14", "61.32.0.0/13"),
    "campus": (
        "147.46.0.0/15",
        "143.248.0.0/16",
        "141.223.0.0/16",
        "163.152.0.0/16",
        "165.132.0.0/15",
        "166.104.0.0/16",
    ),
    "aws": (
        "13.124.0.0/15",
        "3.34.0.0/15",
        "3.36.0.0/14",
        "15.164.0.0/15",
        "52.78.0.0/15",
        "54.180.0.0/15",
        "43.200.0.0/14",
    ),
    "gcp": ("34.64.0.0/12",),
    "azure": ("20.194.0.0/17", "52.231.0.0/16", "20.39.184.0/21", "20.41.64.0/18", "20.200.192.0/18"),
    "naver": (
        "110.165.16.0/20",
        "223.130.128.0/17",
        "101.79.0.0/17",
        "49.50.160.0/20",
        "106.10.32.0/19",
        "175.45.192.0/20",
    ),
    "oracle": (
        "129.154.192.0/19",
        "132.145.80.0/20",
        "146.56.32.0/20",
        "150.230.248.0/21",
        "152.67.192.0/19",
        "158.179.160.0/19",
    ),
    "vps": ("141.164.32.0/19", "158.247.192.0/18", "64.176.224.0/20", "139.180.128.0/18", "45.76.96.0/20"),
    "hosting": ("183.111.128.0/17", "112.175.0.0/16", "121.78.0.0/16", "222.122.0.0/16", "115.68.0.0/16"),
    "faas": ("18.176.0.0/15", "35.72.0.0/13", "54.248.0.0/15"),
    "vpn": ("149.88.16.0/20", "146.70.16.0/20", "185.213.152.0/22", "37.120.144.0/20", "217.138.200.0/21"),
    "abroad": ("5.75.128.0/17", "95.216.0.0/16", "167.99.0.0/16", "134.209.0.0/16", "51.79.0.0/16", "139.59.0.0/16"),
}
V6_POOLS: dict[str, tuple[str, ...]] = {
    "mobile_a": ("2001:2d8::/32",),
    "mobile_b": ("2001:e60::/33",),
    "mobile_c": ("2001:4430::/32",),
    "isp_a": ("2001:e60:8000::/33", "2406:5900::/32"),
    "isp_b": ("2001:270::/32",),
    "isp_c": ("2405:b000::/32",),
    "isp_cable": ("2402:f000::/32",),
    "office": ("2001:2b8::/32",),
    "campus": ("2001:320::/32",),
    "aws": ("2406:da12::/36",),
    "gcp": ("2600:1901:8180::/44",),
    "vps": ("2401:c080:1c00::/40",),
    "oracle": ("2603:c023::/36",),
    "abroad": ("2a01:4f8::/32", "2a01:4f9::/32"),
}
RESERVE = ("3.32.0.0/13", "13.200.0.0/13", "43.128.0.0/13", "47.72.0.0/13")
HOME_POOLS = ("isp_a", "isp_b", "isp_c", "isp_cable")
MOBILE_POOLS = ("mobile_a", "mobile_b", "mobile_c")
CLOUD_POOLS = ("aws", "gcp", "azure", "naver", "oracle", "vps", "abroad")
CLOUD_WEIGHTS = (0.42, 0.08, 0.06, 0.1, 0.12, 0.17, 0.05)


class AddressBook:
    """Hands out addresses by pool and remembers each text once; ``pool_of`` says where an interned address belongs."""

    def __init__(self, rng: np.random.Generator, density: dict[str, float]) -> None:
        self.texts: list[str] = []
        self.pool_of: list[str] = []
        self._rng = rng
        self._known: dict[str, int] = {}
        self._density = density
        self._v4 = {p: [ipaddress.IPv4Network(c) for c in cidrs] for p, cidrs in V4_POOLS.items()}
        self._v6 = {p: [ipaddress.IPv6Network(c) for c in cidrs] for p, cidrs in V6_POOLS.items()}
        self._blocks: dict[str, list[list[int]]] = {}
        self._networks: set[int] = set()
        self._taken: dict[str, int] = {}
        self._sites: dict[str, list[int]] = {}

    def intern(self, text: str, pool: str) -> int:
        """The small integer that stands for an address."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = len(self.texts)
            self.texts.append(text)
            self.pool_of.append(pool)
        return known

    def block(self, pool: str) -> list[int]:
        """The host numbers of a fresh /24, shuffled, with the network's number first."""
        nets = self._v4[pool]
        for _ in range(100):
            net = nets[int(self._rng.integers(len(nets)))]
            number = int(net.network_address) + 256 * int(self._rng.integers(max(net.num_addresses // 256, 1)))
            if number not in self._networks:
                self._networks.add(number)
                return [number, *(int(h) for h in 1 + self._rng.permutation(254))]
        nets.append(ipaddress.IPv4Network(RESERVE[len(nets) % len(RESERVE)]))  # the provider buys more
        return self.block(pool)

    def take(self, pool: str) -> int:
        """A fresh IPv4 address: an old /24 of the pool while that is not as dense as the world wants, else a new one.
        A fresh IPv4 address: an old /24 of the pool while that is not as dense as the world wants, else a new one."""
        blocks = self._blocks.setdefault(pool, [])
        density = self._density.get(pool, self._density.get("*", 2.0))
        taken = self._taken[pool] = self._taken.get(pool, 0) + 1
        if not blocks or len(blocks) < taken / density:
            blocks.append(self.block(pool))
        block = blocks[int(self._rng.integers(len(blocks)))]
        if len(block) < 2:
            block = self.block(pool)
            blocks.append(block)
        return self._text4(block[0] + block.pop(), pool)

    def take_together(self, pool: str, count: int, reuse: float = 0.0) -> list[int]:
        """``count`` fresh addresses of one /24 (of as many as it takes past 254); with chance ``reuse`` one that
        already has other customers. What is left of it goes to customers who come later.
        """
        blocks = self._blocks.setdefault(pool, [])
        roomy = [b for b in blocks if len(b) > count] if reuse and self._rng.random() < reuse else []
        out: list[int] = []
        while len(out) < count:
            if roomy:
                block = roomy.pop(int(self._rng.integers(len(roomy))))
            else:
                block = self.block(pool)
                blocks.append(block)
            while len(block) > 1 and len(out) < count:
                out.append(self._text4(block[0] + block.pop(), pool))
        return out

    def take6(self, pool: str) -> int:
        """A fresh IPv6 /64 as a number; its /48 may hold others of the pool, as with a provider's delegation."""
        nets = self._v6[pool]
        net = nets[int(self._rng.integers(len(nets)))]
        sites = self._sites.setdefault(pool, [])
        if not sites or self._rng.random() < 0.5:
            room = 48 - net.prefixlen
            sites.append(int(net.network_address) >> 80 | int(self._rng.integers(1, 1 << max(room, 1))))
        site = sites[int(self._rng.integers(len(sites)))]
        return (site << 16) | int(self._rng.integers(1 << 16))

    def host6(self, prefix: int, host: int, pool: str) -> int:
        """An address in a /64; ``host`` 0 draws a privacy address."""
        low = host or int(self._rng.integers(1, 1 << 62))
        return self.intern(str(ipaddress.IPv6Address((prefix << 64) | low)), pool)

    def has6(self, pool: str) -> bool:
        """Whether the pool has IPv6 at all."""
        return pool in self._v6

    def _text4(self, number: int, pool: str) -> int:
        return self.intern(f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", pool)
