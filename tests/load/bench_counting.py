"""How many who cross a line are counted, by frames a second: `make bench-counting ARGS="--seconds 30"`.

The simulated highway knows who crossed; what is counted comes from tracks as in the fleet, once of boxes as they truly
were and once of those that the sample detector finds. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cameras.street import Street, TrueObject
from detection.backends import load_detector
from detection.configuration import DetectionConfiguration
from detection.counting import LineRule, signed_distance
from detection.detections import Crossing, Detection, Direction
from detection.detector import Detector
from detection.observing import CameraRules, Scene, observe
from detection.tracking import track
from detection.tracks import TrackerState
from trafficmon.core.objects import ROAD_USERS

ACROSS = LineRule(1, "across the road", (0.0, 0.6), (1.0, 0.6))
RATES = (10.0, 5.0, 2.0, 1 / 1.8)
UNSEEN_SEED = 9001
SHOWN = 0.3
"""Share of a road user that must be visible for a perfect detector to find it."""
START = datetime(2026, 5, 4, 8, tzinfo=UTC)


@dataclass(slots=True)
class Tally:
    """Who crossed, by the street's own numbers, and who was counted."""

    crossed: Counter[Crossing] = field(default_factory=Counter)
    counted: Counter[Crossing] = field(default_factory=Counter)
    sides: dict[int, Direction] = field(default_factory=dict)

    def note_truth(self, users: Sequence[TrueObject], line: LineRule, size: tuple[int, int]) -> None:
        """Add those who are now on the other side of an endless line than a frame ago."""
        for each in users:
            right = signed_distance(each.box.foot, line.in_pixels(size)) > 0
            side = Direction.FORWARD if right else Direction.BACKWARD
            if self.sides.get(each.track_id, side) is not side:
                self.crossed[Crossing(line.line_id, line.name, each.object_class, side)] += 1
            self.sides[each.track_id] = side


def tally(
    fps: float,
    *,
    seed: int,
    seconds: float,
    size: tuple[int, int] = (1280, 720),
    line: LineRule = ACROSS,
    detector: Detector | None = None,
) -> Tally:
    """Who crossed `line`, drawn from edge to edge, and who was counted; without `detector` boxes are the true ones."""
    street = Street("highway", seed=seed, width=size[0], height=size[1])
    result, state = Tally(), TrackerState()
    configuration = DetectionConfiguration()
    for number in range(round(seconds * fps)):
        street.advance_to(number / fps)
        users = tuple(each for each in street.truth() if each.object_class in ROAD_USERS)
        result.note_truth(users, line, size)
        at = START + timedelta(seconds=number / fps)
        found = detector.detect(street.render()) if detector else _perfectly(users)
        state, named = track(state, found, at=at, configuration=configuration.tracking)
        scene = Scene(at, size, CameraRules(lines=(line,)), configuration.post_processing.parked_after_seconds)
        state, _, crossings = observe(state, named, scene)
        result.counted.update(crossings)
    return result


def _perfectly(users: Sequence[TrueObject]) -> list[Detection]:
    return [Detection(each.box, each.object_class, 0.9) for each in users if each.visible >= SHOWN]


def main(arguments: Sequence[str] | None = None) -> None:
    """Tally each rate with both kinds of boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=UNSEEN_SEED)
    given = parser.parse_args(arguments)
    sample = load_detector(DetectionConfiguration(), weights_dir=Path("weights"))
    rows = [_measure(fps, given.seed, given.seconds, sample) for fps in RATES]
    print(" ".join(f"{name:>17}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value:>17}" for value in row.values()))
    print(json.dumps({"bench": "counting", "seconds": given.seconds, "rates": rows}))


def _measure(fps: float, seed: int, seconds: float, sample: Detector) -> dict[str, float]:
    perfect, detected = (tally(fps, seed=seed, seconds=seconds, detector=detector) for detector in (None, sample))
    return {
        "frames_per_second": round(fps, 2),
        "crossed": perfect.crossed.total(),
        "counted_of_true": perfect.counted.total(),
        "counted_of_found": detected.counted.total(),
        "counted_wrongly": sum(((each.counted - each.crossed).total() for each in (perfect, detected)), 0),
    }


if __name__ == "__main__":
    main()
