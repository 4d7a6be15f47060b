"""Every text that a person sees, in Korean and English, from one catalogue (``texts.toml``).

>>> text(Level.REAUTHENTICATE, "ko"), text(Level.REAUTHENTICATE)
('본인 재인증 필요', 'Identity re-verification required')
>>> reason(Reason("PEOPLE", 1.5, CountBucket.FROM_5_TO_9), "ko")
'같은 주소에서 동시에 활동하는 사람 수 (5~9)'
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal, get_args

from daxa_core.errors import DaxaError, ErrorCode
from daxa_core.model import Act, AppealStatus, Cause, CountBucket, Ground, Level, Manner, Reason, Scope, Verdict

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Worded = Level | Scope | Cause | Act | Ground | AppealStatus | CountBucket | Manner | ErrorCode

SECTIONS: dict[type[Worded], str] = {
    Level: "level", Scope: "scope", Cause: "cause", Act: "act", Ground: "ground", AppealStatus: "appeal",
    CountBucket: "count", Manner: "manner", ErrorCode: "error",
}  # fmt: skip


def spoken(environment: Mapping[str, str]) -> Language:
    """The language that a process's environment asks for, as locale(7) has it: Korean, or else English."""
    asked = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "ko" if asked.lower().startswith("ko") else "en"


@cache
def catalogue() -> dict[str, dict[str, dict[str, str]]]:
    """Section, name, language: text."""
    file = resources.files(__package__).joinpath("texts.toml")
    return tomllib.loads(file.read_text("utf-8"))


def text(worded: Worded, language: Language = "en") -> str:
    """What a level, scope, cause, act, ground, appeal's status, count, manner or error code is called."""
    return catalogue()[SECTIONS[type(worded)]][worded.name][language]


def message(name: str, language: Language = "en") -> str:
    """One of the ``[message]`` texts."""
    return catalogue()["message"][name][language]


def reason(given: Reason, language: Language = "en") -> str:
    """What a verdict's reason says, with how many where it speaks of a number.

    A term over two features has the code ``A_AND_B`` and the words of both. A code of a policy that is newer than this client
    is given as it is, and nothing is left out.
    """
    worded = [catalogue()["reason"].get(code) for code in given.code.split("_AND_")]
    parts = [words[language] for words in worded if words]
    if len(parts) < len(worded):
        said = f"{message('UNKNOWN_REASON', language)}: {given.code}"
    else:
        said = parts[0] if len(parts) == 1 else f"{message('BOTH', language)}: {'; '.join(parts)}"
    count = text(given.count, language)
    return f"{said} ({count})" if count else said


def explain(verdict: Verdict, language: Language = "en") -> list[str]:
    """A verdict in words: the level, what it asks for, and its reasons from the one that weighs most."""
    weighed = sorted(verdict.reasons, key=lambda one: -abs(one.contribution))
    return [text(verdict.level, language), text(verdict.scope, language), *(reason(one, language) for one in weighed)]


def error(refused: DaxaError, language: Language = "en") -> str:
    """A refusal for a person: code, field and what was expected there, as everywhere, and what the code says in words."""
    return f"{refused} ({text(refused.code, language)})"
