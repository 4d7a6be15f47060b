"""Writes the tables of docs/quality.md between their marks, from the JSON that ``scripts/bench quality extremes --json``,
``scripts/fit --unseen`` and ``scripts/fit --leave-one-out`` wrote.

The prose around the marks is written by people, the figures never are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .figures import extremes_markdown, hardness_markdown, methods_markdown, patterns_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quality.md"


def sections(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The page's generated parts by mark: of each of the two suites, where the rows have any of it."""
    parts = {}
    if extremes := [row for row in rows if row.get("suite") == "extremes"]:
        parts["extremes"] = extremes_markdown(extremes)
    mine = [row for row in rows if row.get("suite", "quality") == "quality"]
    if not mine:
        return parts
    tables = next(row for row in mine if "patterns" in row)
    return parts | {
        "worlds": f"{tables['detail']}.",
        "methods": methods_markdown(tables["methods"]),
        "targets": targets_markdown(mine),
        "hardness": hardness_markdown(tables["hardness"]),
        "innocent": patterns_markdown(tables["patterns"], guilty=False),
        "guilty": patterns_markdown(tables["patterns"], guilty=True),
    }


def features_markdown(left_out: Mapping[str, Any]) -> str:
    """What is lost without each feature, most first, by hypothesis."""
    lines = [f"| without | hypothesis | area lost of {left_out['area']:.3f} |", "|---|---|---|"]
    rows = sorted(left_out["features"], key=lambda row: -row["buys"])
    lines += [f"| {row['feature']} | {row['hypothesis']} | {row['buys']:+.4f} |" for row in rows]
    return "\n".join(lines)


def unseen_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each reading's area, and recall at two precisions, where worlds of it were learnt from and where none was, and how two
    levels do there."""
    lines = [
        "| reading | area: learnt from, unseen | recall at precision 0.92 | at 0.985 | unseen, precision / recall at WARN "
        "| at REAUTHENTICATE |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        learnt, unseen = row["learnt"], row["unseen"]
        cells = [f"{learnt[at]:.3f}, {unseen[at]:.3f}" for at in ("area", "at 0.92", "at 0.985")]
        cells += ["{:.3f} / {:.3f}".format(*unseen[at]) for at in ("warn", "reauthenticate")]
        lines.append(f"| {row['reading']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def targets_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each figure beside its target."""
    lines = ["| figure | reached | target | met |", "|---|---|---|---|"]
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] else ""
        met = "yes" if row["ok"] else "**no**"
        lines.append(f"| {row['name']} | {row['value']:.3f}{unit} | {row['target']} | {met} |")
    return "\n".join(lines)


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with each marked part replaced. Raises ``ValueError`` for a part that the page has no mark for."""
    for name, text in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = pattern.subn(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
        if count != 1:
            raise ValueError(f"{name}: one part of that mark in the page, not {count}")
    return page


def write_page(
    bench: Sequence[Mapping[str, Any]] = (),
    unseen: Sequence[Mapping[str, Any]] | None = None,
    left_out: Mapping[str, Any] | None = None,
) -> None:
    """Fills docs/quality.md; what is not given stays as it is."""
    parts = sections(bench)
    if unseen is not None:
        parts["unseen"] = unseen_markdown(unseen)
    if left_out is not None:
        parts["features"] = features_markdown(left_out)
    PAGE.write_text(filled(PAGE.read_text("utf-8"), parts), "utf-8")
