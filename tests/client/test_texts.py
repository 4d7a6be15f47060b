"""The catalogue of texts: nothing that a person sees is without words in either language."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import resources
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest

import daxa_client
import daxa_core
import daxa_registry.decision
from daxa_client import texts
from daxa_client._doctor import DAYS_TO_RENEW
from daxa_client._mending import MEND, mend, problem
from daxa_client._verdict_feed import CLOCK_SECONDS
from daxa_core.errors import ErrorCode, InvalidInput
from daxa_core.model import CountBucket, Level, Reason, Scope, Verdict

CATALOGUE = texts.catalogue()
DECISION = Path(daxa_registry.decision.__path__[0])


def codes_of_reasons() -> set[str]:
    """Every code that a verdict's reason can have: the policy's terms, and the terms that the decision adds by itself."""
    policy: dict[str, Any] = tomllib.loads((DECISION / "default_policy.toml").read_text("utf-8"))
    hypotheses = [table for table in policy.values() if isinstance(table, dict) and "term" in table]
    found = {term["code"] for table in hypotheses for term in (*table["term"], *table.get("pair", []))}
    found |= {f"{name.upper()}_PRIOR" for name, table in policy.items() if isinstance(table, dict) and "term" in table}
    for module in DECISION.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "Term"
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(node.args[0].value)
    return found


def test_every_reason_has_words() -> None:
    """Read from the policy in force and from the decision's code, so that a new code fails here until it has its lines."""
    codes = codes_of_reasons()
    assert {"OPERATOR_PRIOR", "NOTHING_SHARED", "SUPPRESSED_HUB"} <= codes
    assert {part for code in codes for part in code.split("_AND_")} <= set(CATALOGUE["reason"])


@pytest.mark.parametrize("kind", texts.SECTIONS, ids=lambda kind: kind.__name__)
def test_every_name_has_words_and_no_words_are_left_over(kind: Any) -> None:
    """Levels, scopes, causes, acts, grounds, appeals, counts, manners; of errors, words may be there before the code is."""
    section = set(CATALOGUE[texts.SECTIONS[kind]])
    assert set(kind.__members__) <= section
    assert kind is ErrorCode or section == set(kind.__members__)
    for one in kind:
        for language in texts.LANGUAGES:
            assert texts.text(one, language) or one is CountBucket.NONE


def test_each_text_is_in_both_languages_and_in_its_own() -> None:
    """Korean has Hangul, English has none; no text is there once only, and no two errors say the same."""
    for section, named in CATALOGUE.items():
        for name, worded in named.items():
            assert set(worded) == set(texts.LANGUAGES), (section, name)
            assert not re.search("[가-힣]", worded["en"]), (section, name)
            assert section == "count" or re.search("[가-힣]", worded["ko"]), (section, name)
            assert all(text == text.strip() and "  " not in text for text in worded.values())
    for language in texts.LANGUAGES:
        errors = [worded[language] for worded in CATALOGUE["error"].values()]
        assert len(errors) == len(set(errors))


def test_no_text_names_an_exchange_or_quotes_a_value() -> None:
    """Which other exchange it was is nobody's to know, and a text is no place for placeholders that could be filled with it."""
    everything = " ".join(text for named in CATALOGUE.values() for worded in named.values() for text in worded.values())
    names = ["upbit", "bithumb", "coinone", "korbit", "gopax", "업비트", "빗썸", "코인원", "코빗", "고팍스", "{", "%"]
    assert [name for name in names if name in everything.lower()] == []


def test_a_verdict_is_explained_from_what_weighs_most() -> None:
    """Level, what is asked, reasons with their counts; a code of a newer policy is given as it is."""
    reasons = (Reason("CROWD", -0.5), Reason("PEOPLE", 2.0, CountBucket.FROM_5_TO_9), Reason("NEW_IN_2027", -3.0))
    verdict = Verdict(b"k" * 32, Level.WARN, reasons=reasons, scope=Scope.TELL_HOLDER)
    assert texts.explain(verdict, "ko") == [
        "경고", "명의자에게 통지, 제한 없음", "이 버전이 아직 설명하지 못하는 정황: NEW_IN_2027",
        "같은 주소에서 동시에 활동하는 사람 수 (5~9)", "그 주소를 거쳐 간 사람이 많음",
    ]  # fmt: skip
    assert texts.explain(verdict)[3] == "People on the same addresses at the same time (5 to 9)"


def test_a_reason_of_two_features_has_the_words_of_both() -> None:
    """So that each feature is worded once, whatever pairs a policy joins."""
    assert texts.reason(Reason("CROWD_AND_SHADOWS", 1.0), "en") == (
        "Both together: Many people have ever been on those addresses; People who move with it from address to address"
    )
    assert "NEW_AND_CROWD" in texts.reason(Reason("NEW_AND_CROWD", 1.0), "en")


def test_an_error_is_worded_with_its_field() -> None:
    """Code, where, and what was expected there, as everywhere; and what that means."""
    error = InvalidInput(ErrorCode.INVALID_ADDRESS, "sightings[3].address", "a global address")
    plain = "INVALID_ADDRESS: sightings[3].address: a global address"
    assert texts.error(error, "ko") == f"{plain} (주소의 형식이 올바르지 않습니다)"
    assert texts.error(error) == f"{plain} (The address has no valid form)"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"), ({"LANG": "C.UTF-8"}, "en"), ({"LANG": "ko_KR.UTF-8"}, "ko"), ({"LC_ALL": "", "LANG": "ko"}, "ko"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "ko_KR.UTF-8"}, "en"), ({"LC_MESSAGES": "ko_KR", "LANG": "C"}, "ko"),
    ],
)  # fmt: skip
def test_the_language_is_that_of_the_terminal(environment: dict[str, str], language: str) -> None:
    """As other commands find it."""
    assert texts.spoken(environment) == language


def test_what_is_to_be_mended_is_worded_for_every_code_that_doctor_can_meet() -> None:
    """Read from the code that it runs through, here and at the peers: a code that is new there fails here."""
    found = set()
    here, there = Path(daxa_client.__path__[0]), Path(daxa_registry.__path__[0])
    core = Path(daxa_core.__path__[0])
    for module in (
        *(
            here / f"{name}.py"
            for name in ("_doctor", "_doctor_spool", "_errors", "_fingerprints", "_registry", "_enforcement")
        ),
        *(core / f"{name}.py" for name in ("canonical", "oprf", "dleq", "group", "threshold", "suite", "parameters")),
        *(there / f"rpc/{name}.py" for name in ("evaluation", "identity", "guard", "server")),
        there / "service/quota.py",
    ):
        tree = ast.parse(module.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "CLASSES":
                node.value = None  # the table of all codes says nothing of which can come
        found |= {
            ErrorCode[node.attr]
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ("ErrorCode", "_C")
            if node.attr in ErrorCode.__members__
        }
    assert {ErrorCode.CERTIFICATE_REVOKED, ErrorCode.INVALID_PROOF, ErrorCode.QUOTA_EXHAUSTED} <= found
    assert sorted(found - MEND.keys()) == []
    assert set(MEND.values()) <= set(CATALOGUE["mend"])
    assert mend(ErrorCode.INVALID_POLICY) == CATALOGUE["mend"]["OPERATOR"]["en"], (
        "and one that is not expected has words"
    )


def test_the_catalogue_is_installed_with_the_client() -> None:
    """It is a file of the package, in UTF-8."""
    file = resources.files("daxa_client").joinpath("texts.toml")
    assert set(file.read_text("utf-8")) - set(ascii_letters)


def test_what_doctor_finds_beside_errors_is_worded_in_the_catalogue() -> None:
    """Every name that it asks for is there, none is there for nothing, and the numbers in the words are those of the checks."""
    here = Path(daxa_client.__path__[0])
    told = "".join((here / f"{name}.py").read_text("utf-8") for name in ("_doctor", "_doctor_spool"))
    assert {name for name in CATALOGUE["problem"] if f'"{name}"' in told or f"'{name}'" in told} == set(
        CATALOGUE["problem"]
    )
    asked = set(re.findall(r"""problem\(['"]([A-Z_]+)""", told)) | set(
        re.findall(r"""found\.\w+, "([A-Z_]+)"\)""", told)
    )
    assert asked == set(CATALOGUE["problem"])
    for language in texts.LANGUAGES:
        assert str(DAYS_TO_RENEW) in problem("EXPIRES_SOON", language)
        assert str(CLOCK_SECONDS) in problem("CLOCK_APART", language)
