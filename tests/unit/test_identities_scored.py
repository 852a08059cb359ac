"""How the benchmark of tracking counts: what is continued wrongly, what is withheld, what does not count."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cameras.street import TrueObject
from detection.calibration import Estimate
from detection.detections import Detection
from tests.load.bench_tracking import RATES
from tests.load.identities import Tally
from tests.load.true_speeds import SpeedTally
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass


def seen(
    *objects: tuple[int, float, int | None], visible: float = 1.0
) -> tuple[Sequence[TrueObject], Sequence[Detection]]:
    """True objects (number, left edge, identity shown), each detected where it is and moving at 5 m/s."""
    boxes = [Box(x, 100, x + 60, 140) for _number, x, _identity in objects]
    truth = [
        TrueObject(box, ObjectClass.CAR, number, None, visible, velocity=(3.0, 4.0))
        for (number, _x, _identity), box in zip(objects, boxes, strict=True)
    ]
    shown = [
        Detection(box, ObjectClass.CAR, 0.9, identity)
        for (_number, _x, identity), box in zip(objects, boxes, strict=True)
    ]
    return truth, shown


def row(*frames: tuple[Sequence[TrueObject], Sequence[Detection]]) -> dict[str, float]:
    tally = Tally()
    tally.add(frames)
    return tally.row()


def test_identities_that_hold_are_perfect() -> None:
    measured = row(*[seen((1, 10 + at, 7), (2, 300 + at, 8)) for at in (0, 5, 10)])
    assert [measured[name] for name in ("idf1", "hota", "mota", "named", "named_moving")] == [1, 1, 1, 1, 1]
    assert [measured[name] for name in ("objects", "switches", "continued", "continued_wrongly")] == [6, 0, 4, 0]


def test_identity_that_goes_to_another_is_continued_wrongly() -> None:
    measured = row(seen((1, 10, 7)), seen((2, 10, 7)))
    assert (measured["continued"], measured["continued_wrongly"], measured["switches"]) == (1, 1, 0)


def test_new_identity_is_a_switch_but_continues_nothing_wrongly() -> None:
    measured = row(seen((1, 10, 7)), seen((1, 12, 8)))
    assert (measured["continued"], measured["continued_wrongly"], measured["switches"]) == (0, 0, 1)


def test_identity_withheld_is_missed_not_wrong() -> None:
    measured = row(seen((1, 10, None), (2, 300, 5)), seen((1, 12, None), (2, 302, 5)))
    assert [measured[name] for name in ("named", "mota", "idp")] == [0.5, 0.5, 1.0]


def test_what_is_mostly_hidden_counts_for_nothing() -> None:
    measured = row(seen((1, 10, 7)), seen((9, 300, 8), visible=0.2))
    assert [measured[name] for name in ("objects", "mota", "named")] == [1, 1, 1]


def test_rates_sample_as_cameras_do() -> None:
    moments = {rate.name: list(rate.samples(4.0))[:2] for rate in RATES}
    assert moments["every 1.8 s, 1 of a burst"] == [(1.8,), (3.6,)]
    assert moments["every 1.8 s, 2 of a burst"] == [(1.3, 1.8), (3.1, 3.6)]
    assert moments["every 1.8 s, 3 of a burst"] == [(1.3, 1.55, 1.8), (3.1, 3.35, 3.6)]
    assert moments["5 a second"] == [(1.0,), (1.2,)]


def test_speeds_are_covered_within_twice_their_deviation() -> None:
    tally = SpeedTally(speeds=[(Estimate(50, 3), 45.0), (Estimate(50, 3), 43.0), (Estimate(1, 2), 0.0)])
    measured = tally.row()
    assert (measured["speed_told"], measured["speed_covered"], measured["standing_told"]) == (2, 0.5, 1)
    assert measured["speed_error_median"] == pytest.approx(6)
