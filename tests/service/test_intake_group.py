"""One group of the intake: what one member sends in it is no other's trouble."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future

from daxa_registry.bootstrap import open_store
from daxa_registry.decision.policy import default_policy
from daxa_registry.service.intake import Intake, Receipt, Submission, Withdrawal, _Waiting
from daxa_registry.service.matching import Matcher
from sightings import fine, fp, seen

NOW = 1_000 * 3_600


def test_a_key_that_is_withdrawn_in_the_group_that_brought_it_refuses_nobody() -> None:
    """It stands nowhere when the group is answered: no verdicts for it, and everybody else's batch is taken."""
    with contextlib.closing(open_store(":memory:")) as store:
        intake = Intake(store, Matcher(store, default_policy()), check=fine, clock=lambda: NOW)
        work = (
            Submission("upbit", b"i" * 16, b"d" * 32, [seen("k", "a")]),
            Submission("bithumb", b"j" * 16, b"d" * 32, [seen("l", "b")]),
            Withdrawal("upbit", fp("k"), 0, 0),
        )
        group = [_Waiting(one, Future()) for one in work]
        intake._commit(group)
        assert [waiting.future.result(0) for waiting in group] == [Receipt(1, (), ()), Receipt(1, (), ()), 1]
        assert store.counts()["presence"] == 1
        intake.close()
