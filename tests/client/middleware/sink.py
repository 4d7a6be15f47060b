"""An observer that keeps what it was told, in memory or in a file of JSON lines for servers in processes of their own.

sink = Sink()
app = SightingMiddleware(app, gateway=sink, exchange="upbit")
assert sink.seen == [...]
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daxa_client import Device, Manner, Verdict
from daxa_core.model import Act


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of ``observe``."""

    key: str
    address: str
    manner: Manner = Manner.USED
    user_agent: str | None = None
    ja4: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    account: str | None = None
    holder: bytes | None = None


@dataclass(slots=True)
class Sink:
    """Takes the place of :class:`daxa_client.Gateway`."""

    file: Path | None = None
    seen: list[Seen] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reports: list[tuple[int, Act]] = field(default_factory=list)

    def verdict(self, key: str) -> Verdict:
        """As it was set."""
        return self.verdicts.get(key, Verdict(b""))

    def report(self, verdict: Verdict, act: Act) -> bool:
        """Keeps the verdict's sequence and the act."""
        self.reports.append((verdict.sequence, act))
        return True

    def observe(
        self, key: str, address: str, *, manner: Manner = Manner.USED, device: Device | None = None, account: str | None = None,
        holder: bytes | None = None, when: float | None = None,
    ) -> bool:  # fmt: skip
        """Keeps it."""
        device = device or Device()
        self.seen.append(Seen(key, address, manner, device.user_agent, device.ja4, device.headers, account, holder))
        if self.file is not None:
            with self.file.open("a") as out:
                out.write(json.dumps([key, address, manner.name, device.user_agent, account]) + "\n")
        return True


def lines(file: Path) -> list[list[Any]]:
    """What a server's sink wrote: key, address, manner, user agent, account."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
