"""Incidents end to end: opened, linked, acted upon, closed, shown; exported without a member's name or an identifier."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pymisp
import pytest
import stix2
from click.testing import CliRunner

import life
from daxa_client import Act, DaxaError, ErrorCode, Level, RawSighting
from daxa_registry.cli import cli

Run = Callable[..., str]
MEMBERS = ("upbit", "bithumb")


def key(name: str) -> str:
    return f"{name}X".ljust(40, "0")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[life.World]:
    with life.world(tmp_path, MEMBERS) as made:
        for number, member in enumerate(MEMBERS):
            made.client(member).submit(
                [
                    RawSighting(key(f"{member}{n}"), f"211.234.{number}.{n + 1}", made.hour(), account=f"{member} {n}")
                    for n in range(3)
                ]
            )
        yield made


@pytest.fixture
def run(world: life.World) -> Run:
    def call(*words: str | Path) -> str:
        listed = [*map(str, words), "--operator", str(world.operator())]
        by = ["--by", "kim"] if "--yes" in listed else []
        result = CliRunner().invoke(cli, [*listed, *by], standalone_mode=False)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return call


@pytest.fixture
def leaked(world: life.World, run: Run, tmp_path: Path) -> life.World:
    """A verified leak of a key of each member; upbit has revoked its own two minutes later."""
    dump = tmp_path / "dump.txt"
    dump.write_text("\n".join(key(f"{member}{n}") for member in MEMBERS for n in range(2)))
    run("leak", "load", dump, "--name", "a paste", "--source", "a paste site", "--found", "2022-12-28", "--yes")
    run("leak", "verify", "L1", "--reason", "looked", "--yes")
    world.pass_hours(1 / 30)
    upbit = world.client("upbit")
    for verdict in upbit.verdicts([key("upbit0"), key("upbit1")]).values():
        assert verdict.level is Level.REVOKE
        upbit.report_enforcement(verdict, Act.REVOKED)
    return world


@pytest.fixture
def at_rest(world: life.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's clock moves by ``pass_hours`` alone; it stands still once there is a registry, whose key is no younger."""
    now = time.time()
    monkeypatch.setattr(life, "time", SimpleNamespace(time=lambda: now))


def load(run: Run, dump: Path, *keys: str, name: str = "a paste") -> None:
    dump.write_text("\n".join(keys))
    run("leak", "load", dump, "--name", name, "--source", "a paste site", "--found", "2022-12-28", "--yes")


def of(member: str, shown: str) -> str:
    [line] = [line for line in shown.splitlines() if f"  {member}, told" in line]
    return line


def refused(code: ErrorCode, call: Callable[[], object]) -> None:
    with pytest.raises(DaxaError) as caught:
        call()
    assert caught.value.code is code


def test_an_incident_tells_what_was_told_and_done_and_after_how_long(leaked: life.World, run: Run) -> None:
    """By member, for operators; each change is an act in the log; a closed one stays as it is."""
    assert "would do" in run("incident", "open", "Keys on a paste site", "--class", "credential-compromise")
    assert run("incident", "list") == ""
    run("incident", "open", "Keys on a paste site", "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    run("incident", "link", "1", "--verdict", "bithumb:1", "--yes")
    shown = run("incident", "show", "1")
    [upbit] = [line for line in shown.splitlines() if "upbit, told" in line]
    assert "REVOKED 2-4; first after " in upbit
    [bithumb] = [line for line in shown.splitlines() if "bithumb, told" in line]
    assert "nothing reported" in bithumb
    run("incident", "close", "1", "--outcome", "all keys are dead", "--yes")
    refused(ErrorCode.ALREADY_ANSWERED, lambda: run("incident", "link", "1", "--leak", "L1", "--yes"))
    refused(ErrorCode.NOT_FOUND, lambda: run("incident", "show", "2"))
    with sqlite3.connect(leaked.folder / "registry/data/registry.sqlite") as database:
        rows = database.execute("SELECT body FROM leaf WHERE event='operator-act' ORDER BY idx").fetchall()
        receipts = database.execute("SELECT audience, body FROM leaf WHERE event='enforcement'").fetchall()
    kinds = [json.loads(row[0])["detail"]["kind"] for row in rows]
    assert kinds[-4:] == ["incident_opened", "incident_linked", "incident_linked", "incident_closed"]
    # Enforcement receipts are in the log, for the member that reported them.
    assert [(audience, json.loads(body)["detail"]["act"]) for audience, body in receipts] == [(1, "REVOKED")] * 2


def test_the_time_to_an_act_runs_from_when_the_member_was_told(
    at_rest: None, world: life.World, run: Run, tmp_path: Path
) -> None:
    """Two minutes and an hour after it, though each report makes a verdict of its own; so where one of those is linked."""
    load(run, tmp_path / "dump.txt", *(key(f"{member}{n}") for member in MEMBERS for n in range(2)))
    run("leak", "verify", "L1", "--reason", "looked", "--yes")
    for hours, member in ((1 / 30, "upbit"), (1 - 1 / 30, "bithumb")):
        world.pass_hours(hours)
        client = world.client(member)
        for verdict in client.verdicts([key(f"{member}0"), key(f"{member}1")]).values():
            client.report_enforcement(verdict, Act.REVOKED)
    run("incident", "open", "Keys on a paste site", "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    shown = run("incident", "show", "1")
    assert "2-4 keys at REVOKE" in of("upbit", shown)
    assert "REVOKED 2-4; first after 2 min, half of them within 2 min" in of("upbit", shown)
    assert "REVOKED 2-4; first after 60 min, half of them within 60 min" in of("bithumb", shown)
    run("incident", "open", "One key", "--class", "credential-compromise", "--yes")
    last = max(one.sequence for one in world.client("bithumb").verdicts([key("bithumb0"), key("bithumb1")]).values())
    run("incident", "link", "2", "--verdict", f"bithumb:{last}", "--yes")
    assert "REVOKED 1; first after 60 min" in of("bithumb", run("incident", "show", "2"))


def test_an_incident_goes_on_showing_a_leak_that_was_withdrawn(
    at_rest: None, leaked: life.World, run: Run, tmp_path: Path
) -> None:
    """Whom it told, what they did and that it was corrected; linked before or after its keys were forgotten."""
    run("incident", "open", "Keys on a paste site", "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    leaked.pass_hours(1)
    run("leak", "withdraw", "L1", "--reason", "made up", "--yes")
    assert leaked.client("bithumb").verdicts([key("bithumb0")])[key("bithumb0")].level is Level.CLEAR
    run("incident", "open", "The same", "--class", "credential-compromise", "--yes")
    run("incident", "link", "2", "--leak", "L1", "--yes")
    for number in ("1", "2"):
        shown = run("incident", "show", number)
        assert "WITHDRAWN" in shown
        assert "2-4 keys at REVOKE, now 2-4 at CLEAR, corrected 2-4. Done: nothing reported" in of("bithumb", shown)
        assert "REVOKED 2-4; first after 2 min" in of("upbit", shown)
        assert "corrected 2-4" in run("incident", "export", number)


def test_more_keys_than_are_read_are_told_of(leaked: life.World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the operators' view by their number, for others in a bucket; nothing is cut in silence."""
    from daxa_registry.service import incidents

    monkeypatch.setattr(incidents, "MAX_VERDICTS", 1)
    run("incident", "open", "Keys on a paste site", "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    assert "and 3 more keys" in run("incident", "show", "1")
    for form in ("stix", "misp"):
        assert "And 2-4 more keys" in run("incident", "export", "1", "--format", form)


def test_letters_say_nothing_of_names_and_stay_with_the_incident(
    leaked: life.World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn, not in the order of the alphabet or of who was told first; the same again, also when another member joins in."""
    from daxa_registry.service import incidents

    drawn = iter("QCX")
    monkeypatch.setattr(incidents.secrets, "choice", lambda free: next(drawn))
    run("incident", "open", "Keys on a paste site", "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--verdict", "upbit:1", "--yes")
    assert "is exchange Q: 1 keys" in of("upbit", run("incident", "show", "1"))
    run("incident", "link", "1", "--leak", "L1", "--yes")
    for _ in range(2):
        shown = run("incident", "show", "1")
        assert "is exchange Q:" in of("upbit", shown)
        assert "is exchange C:" in of("bithumb", shown)
    text = run("incident", "export", "1", "--format", "misp")
    assert text.index("exchange C:") < text.index("exchange Q:"), "in the order of the letters"


@pytest.mark.parametrize("form", ["stix", "misp"])
def test_an_export_is_valid_and_names_nobody(leaked: life.World, run: Run, form: str, tmp_path: Path) -> None:
    """The published libraries read it; no member, fingerprint, key or address is in it; the licence is the leak's."""
    run("incident", "open", "Keys on a paste site", "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    out = tmp_path / "out.json"
    run("incident", "export", "1", "--format", form, "--out", out)
    text = out.read_text()
    assert run("incident", "export", "1", "--format", form) == text, "the same ids each time"
    for member in MEMBERS:
        assert member not in text.lower()
        for name in (f"{member}0", f"{member}1"):
            fingerprint = leaked.client(member).fingerprints([key(name)])[key(name)]
            assert key(name) not in text
            assert fingerprint.hex() not in text
    assert not re.search(r"\d{1,3}(\.\d{1,3}){3}", text)
    assert len(set(re.findall(r"exchange [A-Z]:", text))) == 2
    assert "REVOKED 2-4" in text
    if form == "stix":
        bundle = stix2.parse(text, allow_custom=False)
        kinds = {one.type for one in bundle.objects}
        assert {"incident", "note", "identity", "marking-definition"} <= kinds
        [incident] = [one for one in bundle.objects if one.type == "incident"]
        assert incident.labels == ["credential-compromise"]
        assert incident.spec_version == "2.1"
        assert stix2.TLP_AMBER.id in incident.object_marking_refs
    else:
        event = pymisp.MISPEvent()
        event.from_json(text)
        assert event.info == "Keys on a paste site"
        assert {tag.name for tag in event.tags} == {"tlp:amber", "incident-class:credential-compromise"}
        assert event.distribution == 0
        assert not any(attribute.to_ids for attribute in event.attributes)


def test_what_may_not_be_passed_on_is_not_exported(world: life.World, run: Run, tmp_path: Path) -> None:
    """A leak under TLP:RED; and what an incident cannot be made of is refused naming it."""
    dump = tmp_path / "dump.txt"
    dump.write_text(key("upbit0"))
    run("leak", "load", dump, "--name", "told in trust", "--source", "a friend", "--tlp", "RED", "--yes")
    run("incident", "open", "A list", "--class", "lent-credentials", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    refused(ErrorCode.PERMISSION_DENIED, lambda: run("incident", "export", "1"))
    refused(ErrorCode.NOT_FOUND, lambda: run("incident", "link", "1", "--leak", "L7", "--yes"))
    refused(ErrorCode.NOT_FOUND, lambda: run("incident", "link", "1", "--verdict", "upbit:99", "--yes"))
    refused(ErrorCode.INVALID_VALUE, lambda: run("incident", "link", "1", "--yes"))
    refused(ErrorCode.INVALID_VALUE, lambda: run("incident", "open", "x" * 101, "--class", "manipulation", "--yes"))


@pytest.mark.parametrize(
    ("title", "leak", "outcome"),
    [
        ("Keys of Upbit's customers", "a list", "none"),
        ("A list", "bithumb2022", "none"),
        ("A list", "a list", "\uff35pbit\uc758 keys are dead"),
        ("\uc5c5\ube44\ud2b8 \uace0\uac1d\uc758 \ud0a4", "a list", "none"),
        ("A list", "Streami's customers", "none"),
        ("A list", "a list", "k o r b i t has revoked them"),
    ],
)
def test_what_names_a_member_is_not_exported(
    world: life.World, run: Run, tmp_path: Path, title: str, leak: str, outcome: str
) -> None:
    """In a title, a leak's name or an outcome, in whatever case: operators may call it so, others may not be told."""
    dump = tmp_path / "dump.txt"
    dump.write_text(key("upbit0"))
    run("leak", "load", dump, "--name", leak, "--source", "a paste", "--yes")
    run("incident", "open", title, "--class", "credential-compromise", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    run("incident", "close", "1", "--outcome", outcome, "--yes")
    for form in ("stix", "misp"):
        refused(ErrorCode.INVALID_VALUE, lambda form=form: run("incident", "export", "1", "--format", form))  # type: ignore[misc]


@pytest.mark.parametrize("form", ["stix", "misp"])
def test_amber_strict_goes_out_as_amber_strict(world: life.World, run: Run, form: str, tmp_path: Path) -> None:
    """Not as TLP:AMBER, which lets the receiver pass it on to its clients."""
    dump = tmp_path / "dump.txt"
    dump.write_text(key("upbit0"))
    run("leak", "load", dump, "--name", "a list", "--source", "a paste", "--tlp", "AMBER_STRICT", "--yes")
    run("incident", "open", "A list", "--class", "lent-credentials", "--yes")
    run("incident", "link", "1", "--leak", "L1", "--yes")
    text = run("incident", "export", "1", "--format", form)
    if form == "misp":
        event = pymisp.MISPEvent()
        event.from_json(text)
        assert "tlp:amber+strict" in {tag.name for tag in event.tags}
        return
    strict = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
    objects = stix2.parse(text, allow_custom=False).objects
    assert [one.name for one in objects if one.id == strict] == ["TLP:AMBER+STRICT"]
    for one in objects:
        if one.type != "marking-definition":
            assert strict in one.object_marking_refs
            assert stix2.TLP_AMBER.id not in one.object_marking_refs


def test_a_title_or_an_outcome_with_a_key_or_an_address_goes_nowhere(world: life.World, run: Run) -> None:
    """Refused here and typed, before it is sent; the registry refuses it as well."""
    for text in (key("upbit0"), "seen at 211.234.0.1", "a\ud800"):
        refused(ErrorCode.INVALID_VALUE, lambda text=text: run("incident", "open", text, "--class", "manipulation"))  # type: ignore[misc]
        refused(ErrorCode.INVALID_VALUE, lambda text=text: run("incident", "close", "1", "--outcome", text, "--yes"))  # type: ignore[misc]


def test_what_is_closed_while_it_is_linked_stays_closed(
    world: life.World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two operators at once: the one who was later does not write over what the other did."""
    from daxa_registry.service import incidents

    for member in MEMBERS:
        world.client(member).submit(world.ring(member))
    number = re.search(r"case (\d+)", run("case", "list"))
    assert number is not None
    run("incident", "open", "One server", "--class", "manipulation", "--yes")
    look = incidents.cases

    def meanwhile(*arguments: Any) -> Any:
        run("incident", "close", "1", "--outcome", "done", "--yes")
        return look(*arguments)

    monkeypatch.setattr(incidents, "cases", meanwhile)
    refused(ErrorCode.ALREADY_ANSWERED, lambda: run("incident", "link", "1", "--case", number[1], "--yes"))
    assert "closed" in run("incident", "list")


def test_a_case_is_linked_with_its_verdicts(world: life.World, run: Run) -> None:
    """Those that stand when it is linked."""
    for member in MEMBERS:
        world.client(member).submit(world.ring(member))
    number = re.search(r"case (\d+)", run("case", "list"))
    assert number is not None
    run("incident", "open", "One server", "--class", "manipulation", "--yes")
    linked = run("incident", "link", "1", "--case", number[1], "--yes")
    assert "8 verdicts" in linked
    text = run("incident", "export", "1")
    assert "market-manipulation" in text
    assert "2-4 keys at MONITOR" in text, "four keys at each exchange"
