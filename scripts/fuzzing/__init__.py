"""What is fuzzed: every place where bytes from outside become something. Each decoder reads its input or raises a DaxaError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Read = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Decoder:
    """What reads bytes, a few that it reads well, and how often it is fed: ``weight`` falls with what one input costs."""

    read: Read
    seeds: tuple[bytes, ...]
    weight: int = 100


def text(read: Callable[[str], object]) -> Read:
    """A reader of text, fed with bytes."""
    return lambda data: read(data.decode("utf-8", "replace"))


def decoders(folder: Path) -> dict[str, Decoder]:
    """Every decoder by name; ``folder`` is for those that read files."""
    from . import calls, client, files, kernel, registry

    inside = kernel.decoders() | client.decoders() | registry.decoders()
    return inside | calls.decoders(folder / "calls") | files.decoders(folder)
