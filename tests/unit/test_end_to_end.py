"""What the end-to-end check makes of what it has seen."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from workers.end_to_end import QUEUES_OF, Leg, Tally, is_passed, open_legs
from workers.queues import Queue


def test_tally_tells_average_p95_and_success() -> None:
    tally = Tally(sent=25, latencies=[float(number) for number in range(20, 0, -1)], errors=Counter(lost=5))
    assert (tally.received, tally.average, tally.p95, tally.success) == (20, 10.5, 19.0, 0.8)


def test_tally_of_nothing_succeeds_in_nothing() -> None:
    tally = Tally()
    assert (tally.success, math.isnan(tally.average), math.isnan(tally.p95)) == (0.0, True, True)


@pytest.mark.parametrize(("received", "passed"), [(100, True), (99, True), (98, False)])
def test_check_passes_where_enough_came_on_every_leg(received: int, passed: bool) -> None:
    legs = [Tally(sent=5, latencies=[1.0] * 5), Tally(sent=100, latencies=[1.0] * received)]
    assert is_passed(legs, least_success=0.99) is passed
    assert not is_passed([*legs, Tally()], least_success=0.99)


def test_legs_pass_every_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {queue for leg in open_legs() for queue in QUEUES_OF[leg]} == set(Queue) - {Queue.OUTBOUND, Queue.EXPORTS}
    monkeypatch.setattr(
        settings,
        "MODEL_FILE",
        settings.MODEL_FILE.model_copy(update={"llm": settings.MODEL_FILE.llm.model_copy(update={"enabled": False})}),
    )
    assert open_legs() == [Leg.PICTURES]


@pytest.mark.parametrize("only", [["watch"], ["watch", "letters"], ["produce", "detect"], ["everything"]])
def test_unknown_parts_are_refused_with_those_there_are(only: list[str]) -> None:
    with pytest.raises(
        CommandError,
        match=r"^--only takes produce, or watch and one of detect, assess, assess\.urgent, results, outbound, "
        r"exports\.$",
    ):
        call_command("e2e", only=only)
