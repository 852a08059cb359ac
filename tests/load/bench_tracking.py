"""How well identities hold, and how right speeds are, at which rate: `make bench-tracking ARGS="--seconds 60"`.

Road users of synthetic streets are followed at several rates of sampling, once from their true boxes (tracking alone)
and once from those that the sample model finds, by our tracker and, for comparison, by the plain ByteTrack of the
library `trackers`, which takes one gap for as long as another. Prints tables, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import supervision
from trackers import ByteTrackTracker

from cameras.street import SCENES, Street
from detection.backends import load_detector
from detection.configuration import DetectionConfiguration, TrackingConfiguration
from detection.detect import choose_evenly
from detection.detections import Detection
from detection.tracking import track
from detection.tracks import TrackerState
from tests.load.identities import Frame, Tally
from tests.load.street_moments import Moment, watch
from tests.load.true_speeds import SpeedTally, calibrate

UNSEEN_SEED = 9002
INTERVAL_SECONDS = 1.8
PER_BURST, BURST_SPREAD_SECONDS = 3, 0.25
"""As `cameras.sampling` has it."""

Sample = tuple[Moment, ...]
"""What is detected for one frame, oldest first; the last is the frame."""
Follow = Callable[[Sequence[Sample], str], list[Frame]]


@dataclass(frozen=True, slots=True)
class Rate:
    """A sample every so many seconds, and of each so many pictures of its burst detected."""

    name: str
    every_seconds: float
    of_burst: int = 1

    def samples(self, until_seconds: float) -> Iterator[tuple[float, ...]]:
        """The moments to detect, in seconds, of each sample; none begins before 1 s."""
        offsets = [
            (place + 1 - PER_BURST) * BURST_SPREAD_SECONDS for place in choose_evenly(PER_BURST, most=self.of_burst)
        ]
        for number in range(1, int(until_seconds / self.every_seconds) + 1):
            last = number * self.every_seconds
            if last >= 1.0:
                yield tuple(round(last + offset, 3) for offset in offsets)


RATES = (
    Rate("every 1.8 s, 1 of a burst", INTERVAL_SECONDS),
    Rate("every 1.8 s, 2 of a burst", INTERVAL_SECONDS, 2),
    Rate("every 1.8 s, 3 of a burst", INTERVAL_SECONDS, 3),
    Rate("2 a second", 0.5),
    Rate("5 a second", 0.2),
    Rate("10 a second", 0.1),
)


def follow(samples: Sequence[Sample], boxes: str) -> list[Frame]:
    """What our tracker shows of each sample."""
    return [(sample[-1].truth, named) for sample, _state, named in _states(samples, boxes)]


def _states(samples: Sequence[Sample], boxes: str) -> Iterator[tuple[Sample, TrackerState, tuple[Detection, ...]]]:
    """Each sample with the tracker's state after it and what is shown of it."""
    state, configuration = TrackerState(), TrackingConfiguration()
    for sample in samples:
        named: tuple[Detection, ...] = ()
        for moment in sample:
            found = getattr(moment, boxes)
            is_frame = moment is sample[-1]
            state, named = track(state, found, at=moment.at, configuration=configuration, is_frame=is_frame)
        yield sample, state, named


def follow_plainly(samples: Sequence[Sample], boxes: str) -> list[Frame]:
    """What ByteTrack shows of each sample when it takes one frame as good as another."""
    tracker = ByteTrackTracker()
    frames: list[Frame] = []
    for sample in samples:
        named: list[Detection] = []
        for moment in sample:
            named = _track_plainly(tracker, getattr(moment, boxes))
        frames.append((sample[-1].truth, named))
    return frames


def _track_plainly(tracker: ByteTrackTracker, detections: Sequence[Detection]) -> list[Detection]:
    told = supervision.Detections(
        xyxy=np.array([each.box.as_tuple() for each in detections], dtype=np.float64).reshape(-1, 4),
        confidence=np.array([each.confidence for each in detections], dtype=np.float64),
        data={"place": np.arange(len(detections))},
    )
    tracked = tracker.update(told)
    # What has no identity yet is numbered -1; a picture without detections comes back without places.
    numbers = [] if tracked.tracker_id is None else tracked.tracker_id.tolist()
    identities = dict(zip(np.asarray(tracked.data.get("place", ())).tolist(), numbers, strict=True))
    given = [identities.get(place, -1) for place in range(len(detections))]
    return [
        replace(each, track_id=None if number < 0 else number) for each, number in zip(detections, given, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of street time for each scene")
    parser.add_argument("--seed", type=int, default=UNSEEN_SEED, help="of the streets; 9001 set the tracker's bounds")
    options = parser.parse_args()
    watched = _watch_all(options.seconds, options.seed)
    rows = {}
    for boxes, (name, way), rate in product(("exact", "found"), WAYS.items(), RATES):
        tally = Tally()
        for moments in watched.values():
            tally.add(way(_samples(rate, moments, options.seconds), boxes))
        rows[f"{boxes}, {name}, {rate.name}"] = tally.row()
        print(f"{boxes}, {name}, {rate.name}", json.dumps(tally.row()))
    speeds = {}
    for boxes, rate in product(("exact", "found"), RATES):
        speeds[f"{boxes}, {rate.name}"] = _speeds(rate, watched, boxes, options)
        print(f"speeds: {boxes}, {rate.name}", json.dumps(speeds[f"{boxes}, {rate.name}"]))
    print(
        json.dumps(
            {
                "bench": "tracking",
                "seconds": options.seconds,
                "seed": options.seed,
                "identities": rows,
                "speeds": speeds,
            }
        )
    )


def _watch_all(seconds: float, seed: int) -> dict[str, dict[float, Moment]]:
    """Of each scene every moment that some rate samples, by its second."""
    detector = load_detector(DetectionConfiguration(), weights_dir=Path("weights"))
    wanted = sorted({at for rate in RATES for sample in rate.samples(seconds) for at in sample})
    return {
        scene: dict(zip(wanted, watch(Street(scene, seed=seed), wanted, detector), strict=True)) for scene in SCENES
    }


def _samples(rate: Rate, moments: Mapping[float, Moment], seconds: float) -> list[Sample]:
    return [tuple(moments[at] for at in sample) for sample in rate.samples(seconds)]


def _speeds(
    rate: Rate, watched: Mapping[str, Mapping[float, Moment]], boxes: str, options: argparse.Namespace
) -> dict[str, float]:
    tally = SpeedTally()
    for number, (scene, moments) in enumerate(watched.items()):
        calibration = calibrate(Street(scene, seed=options.seed), number)
        for sample, state, named in _states(_samples(rate, moments, options.seconds), boxes):
            tally.add(state, named, sample[-1].truth, calibration)
    return tally.row()


WAYS: Mapping[str, Follow] = {"ours": follow, "plain ByteTrack": follow_plainly}


if __name__ == "__main__":
    main()
