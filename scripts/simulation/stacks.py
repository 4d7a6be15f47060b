"""Client stacks: the user agent and TLS fingerprint (JA4) that a trading program shows, how popular each is, and
what replaces it.

A stack is one device text, ``JA4|user agent``. The JA4 belongs to the TLS library, not to the program, so many
programs share one; versions of one program follow each other, which is what an upgrade walks along.

>>> catalogue = Catalogue(np.random.default_rng(1), stock=40, zipf=1.0)
>>> "|" in catalogue.texts[catalogue.stock()]
True
"""

from __future__ import annotations

import hashlib

import numpy as np

# (family, TLS family, user agent with {v}, its versions in order, weight of the family)
FAMILIES: tuple[tuple[str, str, str, tuple[str, ...], float], ...] = (
    ("requests", "openssl", "python-requests/{v}", ("2.28.2", "2.31.0", "2.32.3", "2.32.4", "2.32.5"), 9.0),
    ("pyupbit", "openssl", "pyupbit/{v}", ("0.2.31", "0.2.33", "0.2.34"), 3.0),
    ("ccxt-py", "openssl", "ccxt/{v} (python)", ("4.2.99", "4.3.95", "4.4.60", "4.4.98", "4.5.12", "4.5.20"), 5.0),
    ("ccxt-js", "node", "ccxt/{v} (node)", ("4.3.27", "4.4.41", "4.5.3", "4.5.17"), 2.5),
    ("aiohttp-311", "openssl", "Python/3.11 aiohttp/{v}", ("3.8.6", "3.9.5", "3.10.11", "3.11.18", "3.12.15"), 4.0),
    ("aiohttp-312", "openssl", "Python/3.12 aiohttp/{v}", ("3.9.5", "3.10.11", "3.11.18", "3.12.15", "3.13.2"), 3.0),
    ("httpx", "openssl", "python-httpx/{v}", ("0.25.2", "0.27.2", "0.28.1"), 2.0),
    ("urllib3", "openssl", "python-urllib3/{v}", ("1.26.20", "2.2.3", "2.5.0"), 0.7),
    ("websockets", "openssl", "Python/3.11 websockets/{v}", ("12.0", "13.1", "14.2", "15.0.1"), 0.8),
    ("axios", "node", "axios/{v}", ("0.27.2", "1.6.8", "1.7.9", "1.8.4", "1.12.2"), 3.5),
    ("node-fetch", "node", "node-fetch/{v}", ("2.6.7", "2.7.0"), 0.8),
    ("undici", "node", "node ({v})", ("18.20", "20.18", "22.11"), 1.0),
    ("okhttp", "conscrypt", "okhttp/{v}", ("3.14.9", "4.9.3", "4.12.0", "5.1.0"), 2.0),
    ("java", "jsse", "Java-http-client/{v}", ("11.0.24", "17.0.12", "21.0.4", "21.0.8"), 1.5),
    ("apache", "jsse", "Apache-HttpClient/{v} (Java)", ("4.5.14", "5.2.3", "5.4.4"), 0.8),
    ("spring", "netty", "ReactorNetty/{v}", ("1.1.22", "1.2.4", "1.2.9"), 0.6),
    ("go", "go", "Go-http-client/{v}", ("1.1", "2.0"), 2.0),
    ("resty", "go", "go-resty/{v} (https://github.com/go-resty/resty)", ("2.7.0", "2.13.1", "2.16.5"), 0.6),
    ("curl", "openssl", "curl/{v}", ("7.81.0", "7.88.1", "8.5.0", "8.14.1"), 0.8),
    ("dotnet", "schannel", "RestSharp/{v}", ("106.15.0.0", "110.2.0.0", "112.1.0.0"), 1.0),
    ("rust", "rustls", "reqwest/{v}", ("0.11.27", "0.12.9", "0.12.23"), 0.6),
    ("php", "openssl", "GuzzleHttp/{v}", ("7", "7.9"), 0.6),
    ("excel", "schannel", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) WinHttp/{v}", ("5.1", "5.2"), 0.4),
    ("upbit-sdk", "openssl", "upbit-python-sdk/{v}", ("1.0.2", "1.1.0", "1.2.0"), 0.8),
    ("python-bithumb", "openssl", "python-bithumb/{v}", ("1.0.3", "1.0.7"), 0.7),
    ("freqtrade", "openssl", "freqtrade/{v}", ("2024.11", "2025.6", "2025.10", "2026.2"), 0.9),
)
# How many builds of each TLS library are about: each has a JA4 of its own.
TLS_BUILDS = {"openssl": 9, "node": 5, "conscrypt": 4, "jsse": 4, "netty": 2, "go": 4, "schannel": 3, "rustls": 3}
TLS_SHAPE = {
    "openssl": "t13d1812h1",
    "node": "t13d1714h1",
    "conscrypt": "t13d1613h2",
    "jsse": "t13d2411h1",
    "netty": "t13d1611h2",
    "go": "t13d1312h2",
    "schannel": "t12d1909h1",
    "rustls": "t13d1011h2",
}
BRANDS = (
    "coin",
    "auto",
    "grid",
    "quant",
    "bit",
    "alpha",
    "trade",
    "volt",
    "moon",
    "arb",
    "delta",
    "nova",
    "krypto",
    "han",
)
KINDS = ("bot", "trader", "pilot", "runner", "engine", "client", "hub", "box", "signal", "maker", "link", "works")


def ja4(tls: str, build: int) -> str:
    """A JA4 text for one build of a TLS library: the shape, then two truncated hashes, as FoxIO's format has them."""
    digest = hashlib.sha256(f"{tls}/{build}".encode()).hexdigest()
    return f"{TLS_SHAPE[tls]}_{digest[:12]}_{digest[12:24]}"


class Catalogue:
    """All device texts of a world, stock ones drawn by popularity and custom ones made on demand."""

    def __init__(self, rng: np.random.Generator, stock: int, zipf: float) -> None:
        self.texts: list[str] = []
        self._rng = rng
        self._known: dict[str, int] = {}
        self._origin: dict[int, tuple[str, int, str]] = {}  # device → (family or custom agent, version, JA4)
        self._versions = {name: versions for name, _, _, versions, _ in FAMILIES}
        self._agents = {name: agent for name, _, agent, _, _ in FAMILIES}
        every = [
            (weight * (0.4 + version) * (0.55**build), name, version, ja4(tls, build))
            for name, tls, _, versions, weight in FAMILIES
            for version in range(len(versions))
            for build in range(TLS_BUILDS[tls])
        ]
        noise = rng.gumbel(size=len(every))
        order = sorted(range(len(every)), key=lambda i: -(np.log(every[i][0]) + noise[i]))[: max(stock, 5)]
        self._stock = [self._stock_device(*every[i][1:]) for i in order]
        weights = 1.0 / np.arange(1, len(order) + 1) ** zipf
        self._cumulative = np.cumsum(weights / weights.sum())

    def stock(self) -> int:
        """A stock stack, by popularity."""
        return self._stock[min(int(np.searchsorted(self._cumulative, self._rng.random())), len(self._stock) - 1)]

    def top(self, count: int = 3) -> int:
        """One of the most popular stacks."""
        return self._stock[int(self._rng.integers(min(count, len(self._stock))))]

    def rare(self) -> int:
        """A stock stack from the less popular half."""
        half = len(self._stock) // 2
        return self._stock[half + int(self._rng.integers(len(self._stock) - half))]

    def custom(self) -> int:
        """A stack that nobody else has: a program of one's own on some TLS library."""
        rng = self._rng
        tls = list(TLS_BUILDS)[int(rng.integers(len(TLS_BUILDS)))]
        name = BRANDS[int(rng.integers(len(BRANDS)))] + KINDS[int(rng.integers(len(KINDS)))]
        agent = f"{name}-{int(rng.integers(16**4)):04x}"
        version = int(rng.integers(0, 40))
        return self._device(agent, version, ja4(tls, int(rng.integers(TLS_BUILDS[tls]))), f"{agent}/1.{version}")

    def successor(self, device: int) -> int:
        """What an upgrade of this stack leads to: the program's next version, or the same under a newer TLS build."""
        family, version, tls = self._origin[device]
        versions = self._versions.get(family)
        if versions is None:
            return self._device(family, version + 1, tls, f"{family}/1.{version + 1}")
        if version + 1 < len(versions) and self._rng.random() < 0.8:
            return self._stock_device(family, version + 1, tls)
        library = next(t for name, t, *_ in FAMILIES if name == family)
        return self._stock_device(family, version, ja4(library, int(self._rng.integers(TLS_BUILDS[library]))))

    def _stock_device(self, family: str, version: int, tls: str) -> int:
        return self._device(family, version, tls, self._agents[family].format(v=self._versions[family][version]))

    def _device(self, family: str, version: int, tls: str, agent: str) -> int:
        text = f"{tls}|{agent}"
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = len(self.texts)
            self.texts.append(text)
            self._origin[known] = (family, version, tls)
        return known
