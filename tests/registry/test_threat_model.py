"""What the documents say is shown by a test is shown by one that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    """By its name; and every test file that it names, by its path."""
    text = page.read_text("utf-8")
    for name in re.findall(r"`(test_\w+)`", text):
        assert re.search(rf"def {name}\(", TESTS), f"{page.name}: no test is called {name}"
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), f"{page.name}: there is no {path}"


def test_every_threat_has_an_answer_and_what_shows_it() -> None:
    """No row of the table has an empty cell."""
    rows = [
        line.strip("|").split("|")
        for line in (ROOT / "docs/threat-model.md").read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    assert len(rows) > 30
    for row in rows:
        assert len(row) == 4, row[0]
        assert all(cell.strip() for cell in row), row[0]
        assert row[0].strip() in ("who", "---") or "`" in row[3], row[0]
