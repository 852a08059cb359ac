"""Workers killed with -9 at each point of a question's way: a second call at the most, never a second or no outcome."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import Play
from tests.faults.deaths import DEATHS
from tests.faults.dying_worker import POINTS

pytestmark = pytest.mark.integration

SECOND_CALLS = {"after send", "before answer", "after answer", "before store", "before commit"}
"""Where the request is out and its answer not stored."""


@pytest.fixture(scope="module")
def played() -> dict[str, Any]:
    """The figures of the deaths, once they were played."""
    return {}


@pytest.fixture
def deaths(play: Play, played: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    """Played once for all of these tests, and anew for one that is tried again."""
    if not played or getattr(request.node, "execution_count", 1) > 1:
        played.update(play(DEATHS))
    return played


@pytest.mark.parametrize("point", POINTS)
def test_question_of_a_dead_worker_has_one_outcome(point: str, deaths: dict[str, Any]) -> None:
    end = deaths["points"][point]
    assert end["died"]
    assert end["status"] == ("" if point == "before claim" else "done")
    assert end["second_call"] == (point in SECOND_CALLS)


def test_all_questions_have_one_outcome_and_second_calls_are_those_of_the_dead(deaths: dict[str, Any]) -> None:
    outcomes = deaths["outcomes"]
    assert outcomes["by_status"] == {"done": outcomes["asked"]}
    assert (outcomes["not_ended_once"], outcomes["frames_open"], outcomes["not_closed_once"]) == (0, 0, 0)
    # On a busy machine a call may take longer than it may, and is made again by rule.
    assert len(SECOND_CALLS) <= deaths["second_calls"] <= len(SECOND_CALLS) + 2
