"""Counted against true crossings on the simulated highway, at the rates cameras are sampled with."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from detection.counting import LineRule
from detection.detections import Direction
from tests.load.bench_counting import ACROSS, Tally, tally

REVERSED = LineRule(ACROSS.line_id, ACROSS.name, ACROSS.end, ACROSS.start)


@cache
def highway(fps: float, line: LineRule = ACROSS) -> Tally:
    """Half a minute of boxes as they truly were, of those that are not hidden."""
    return tally(fps, seed=1, seconds=30, size=(640, 360), line=line)


@pytest.mark.parametrize(("fps", "share"), [(10, 0.95), (5, 0.75)])
def test_street_is_counted_nearly_whole_and_nobody_twice(fps: float, share: float) -> None:
    """A motorcycle behind a truck is missed; whoever is counted did cross, that way and of that class."""
    seen = highway(fps)
    assert seen.crossed.total() > 40
    assert seen.counted - seen.crossed == Counter()
    assert share * seen.crossed.total() <= seen.counted.total()


def test_street_sampled_every_two_seconds_is_not_counted_rather_than_guessed() -> None:
    assert highway(0.5).crossed.total() > 20
    assert highway(0.5).counted == Counter()


def test_line_drawn_the_other_way_counts_the_other_directions() -> None:
    ways = [Counter(each.direction for each in highway(10, line).counted.elements()) for line in (ACROSS, REVERSED)]
    there, back = ways
    assert there == {Direction.FORWARD: back[Direction.BACKWARD], Direction.BACKWARD: back[Direction.FORWARD]}
    assert there.total() > 40
