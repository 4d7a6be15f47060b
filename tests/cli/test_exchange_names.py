"""What goes out to others names no exchange, by whichever of its names and however it is written."""

from __future__ import annotations

import unicodedata

import pytest

from daxa_core.errors import InvalidInput
from daxa_registry.cli.exchange_names import names_one
from daxa_registry.cli.incident_export import check_names_nobody
from daxa_registry.service.incidents import Incident, IncidentClass

KNOWN = [
    "upbit", "업비트", "두나무", "Dunamu", "bithumb", "빗썸", "coinone", "코인원", "korbit", "코빗", "Digital X", "digitalx",
    "gopax", "고팍스", "Streami", "스트리미",
]  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_name_is_found_however_it_is_written(name: str) -> None:
    """In any case, full width, decomposed, with spaces or marks between its letters, with a particle or a mark behind it."""
    wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in name)
    written = [
        name,
        name.upper(),
        name.title(),
        wide,
        unicodedata.normalize("NFD", name),
        " ".join(name),
        "-".join(name),
    ]
    for one in written:
        for text in (f"{one} keys", f"({one})", f"keys of {one}", f"{one}의 키", f"{one}2022", f"2022_{one}.com"):
            assert names_one(text, ()), text


def test_another_word_is_no_name() -> None:
    """Words that only begin or end as a name does."""
    for text in ("Keys of a streaming service", "digital xenon", "one coin, a server", "코인 목록", "나무 두 그루"):
        assert not names_one(text, ("acme",)), text


def test_the_refusal_names_the_field_and_not_the_name() -> None:
    """What is refused is not repeated: an error may end in a log."""
    incident = Incident(1, "고 팍 스의 키", IncidentClass.CREDENTIAL_COMPROMISE, 1, "daxa/kim")
    with pytest.raises(InvalidInput) as caught:
        check_names_nobody(incident, [], [])
    assert caught.value.field == "title"
    assert "팍" not in str(caught.value)
