"""An appeal reaches the verdicts too that the evidence holds, but would give no more: a level is lost later than it is won."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from daxa_core.model import Ground, Level
from daxa_registry.bootstrap import open_store
from daxa_registry.decision.policy import Levels, default_policy
from daxa_registry.service.appeals import Appeal, corrections
from daxa_registry.service.matching import Matcher
from sightings import fine, fp, seen

HOURS = range(1_000, 1_200, 3)
NOW = 1_200 * 3_600


def test_a_verdict_that_the_fall_margin_holds_is_corrected_with_the_others() -> None:
    """Ten keys on one server are told MONITOR, and a policy comes for which their score is just too low, but within the margin:
    a granted appeal of one clears all; a key elsewhere of which nothing was judged is left alone."""
    with closing(open_store(":memory:")) as store:
        policy = default_policy()
        matcher = Matcher(store, policy)
        keys = [f"k{n}" for n in range(10)]
        with store.transaction():
            upbit = store.member_id("upbit")
            for at, key in enumerate(keys):
                ring = [seen(key, "server", hour, device="bot", holder=f"who {key}") for hour in HOURS]
                store.absorb(upbit, ring, fine)
                store.absorb(upbit, [seen(f"{key} too", f"else{at % 2}", h, device="bot") for h in HOURS], fine)
        with store.transaction():
            matcher.decide(list(store.all_subjects()), NOW)
        told = [store.standing_of(upbit, fp(key)) for key in keys]
        assert {one and one.level for one in told} == {Level.MONITOR}
        subjects = [one.subject for one in told if one is not None]
        with store.transaction():
            scores = {said.score for _, _, said in matcher.assessments(subjects, NOW)}
            [score] = {round(one, 6) for one in scores}
            levels = Levels(score + 0.1, score + 1, score + 2, score + 3)
            later = Matcher(store, replace(policy, digest=bytes(32), levels=levels))
            asked = Appeal("upbit", 1, subjects[0], 1, int(Ground.OTHER), "", NOW)
            found = {one.subject: (one.before, one.after) for one in corrections(store, later, asked, NOW)}
        assert found == dict.fromkeys(subjects, (Level.MONITOR, Level.CLEAR))
