"""The names by which the exchanges are known, in Korean and English, and their companies': what goes out to others has none.

A name is found in whatever case and width it is written, with anything between its letters that is neither letter nor digit. So
"back up bit by bit" names one too, and is to be put otherwise; "a streaming service" does not.

>>> names_one("업 비 트 고객의 키", ()), names_one("Keys of U-P-B-I-T", ()), names_one("keys of a streaming service", ())
(True, True, False)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_UNMISTAKABLE = ("upbit", "dunamu", "bithumb", "coinone", "korbit", "gopax")
"""Found within a longer word as well: no other word has them in it."""
_KNOWN = (
    *_UNMISTAKABLE, "digitalx", "streami",
    "업비트", "두나무", "빗썸", "코인원", "코빗", "디지털엑스", "고팍스", "스트리미",
)  # fmt: skip


def names_one(text: str, members: Iterable[str]) -> bool:
    """Whether a text names an exchange, its company or one of the ``members`` of the registry."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    if any(name in plain for name in _UNMISTAKABLE):
        return True
    # Letters of ASCII alone end a name: in Korean a particle follows without a space.
    spread = ("[\\W_]*".join(map(re.escape, name.casefold())) for name in (*_KNOWN, *members))
    return any(re.search(f"(?<![a-z]){letters}(?![a-z])", plain) for letters in spread)
