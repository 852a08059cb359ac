"""How much of the synthetic street the pipeline finds: `make bench-street ARGS="--seconds 300"`.

Detection, grouping and the gate as the fleet runs them, on streets whose seeds the sample model was not trained on,
against the street's ground truth. Prints a table, then one JSON line. How the model's simulator judges is not measured:
it would say nothing of any model.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from assessment.configuration import LlmConfiguration
from assessment.gate import Circumstances, Gated, GateRules, gate
from assessment.risk import WHOLE_FRAME
from cameras.frames import FrameRef
from cameras.street import SCENES, Incident, Street, TrueObject
from detection.backends import load_detector
from detection.configuration import DetectionConfiguration
from detection.detect import FramePipeline, Shot, detect_frame
from detection.detections import DetectedFrame, Detection
from detection.grouping import form_groups
from tests.load.street_moments import START, counts
from trafficmon.core.geometry import intersection_over_union
from trafficmon.core.objects import ROAD_USERS

UNSEEN_SEEDS = (9001, 9002, 9003)
INTERVAL_SECONDS = 1.8
COOLDOWN_SECONDS = 3.0
RULES = GateRules(ask_from=LlmConfiguration().prior_threshold.ask)
SAME_OBJECT = 0.5
"""Overlap from which a detection is the object; of groups, the share of members two must have in common."""


@dataclass(slots=True)
class Score:
    """Counts of one scene."""

    found: int = 0
    missed: int = 0
    wrong: int = 0
    groups_found: int = 0
    groups_missed: int = 0
    groups_wrong: int = 0
    incidents: set[tuple[int, Incident, float]] = field(default_factory=set)
    asked: set[tuple[int, Incident, float]] = field(default_factory=set)

    def row(self) -> dict[str, float]:
        return {
            "objects": self.found + self.missed,
            "recall": _share(self.found, self.missed),
            "precision": _share(self.found, self.wrong),
            "groups": self.groups_found + self.groups_missed,
            "group_recall": _share(self.groups_found, self.groups_missed),
            "group_precision": _share(self.groups_found, self.groups_wrong),
            "incidents": len(self.incidents),
            "incidents_sent": _share(len(self.asked), len(self.incidents - self.asked)),
        }


def _share(hits: int, others: int) -> float:
    return round(hits / (hits + others), 4) if hits + others else 1.0


@dataclass(slots=True)
class Cooldown:
    """A camera's turn to ask, on the street's own clock."""

    next_at: float = 0.0

    def circumstances(self, now: float) -> Circumstances:
        return Circumstances(lambda: now >= self.next_at, lambda: self.take(now))

    def take(self, now: float) -> bool:
        if now < self.next_at:
            return False
        self.next_at = now + COOLDOWN_SECONDS
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of street time for each scene and seed")
    options = parser.parse_args()
    configuration = DetectionConfiguration()
    pipeline = FramePipeline(load_detector(configuration, weights_dir=Path("weights")), configuration)
    rows = {}
    for scene in SCENES:
        score = Score()
        for seed in UNSEEN_SEEDS:
            _watch(scene, seed, options.seconds, pipeline, score)
        rows[scene] = score.row()
        print(scene, json.dumps(rows[scene]))
    print(json.dumps({"bench": "street", "seconds": options.seconds, "seeds": UNSEEN_SEEDS, "scenes": rows}))


def _watch(scene: str, seed: int, seconds: float, pipeline: FramePipeline, score: Score) -> None:
    """Sample one street as a camera does and add what was found to `score`."""
    street, cooldown, tracks = Street(scene, seed=seed), Cooldown(), None
    script = street.incidents(seconds)
    for number in range(1, int(seconds / INTERVAL_SECONDS)):
        now = number * INTERVAL_SECONDS
        street.advance_to(now)
        ref = FrameRef(1, f"{scene}-{seed}-{number}", START + timedelta(seconds=now))
        frame, tracks = detect_frame([Shot(street.render(), ref.captured_at)], ref, pipeline=pipeline, tracks=tracks)
        truth = street.truth()
        pairs = match(truth, frame.detections)
        _score_objects(truth, frame, pairs, score)
        _score_groups(truth, frame, pairs, pipeline.configuration, score)
        asked = gate(frame, RULES, cooldown.circumstances(now))
        going_on = {each.kind: each.starts_at for each in script if each.starts_at <= now <= each.ends_at}
        shown = _members_asked_about(frame, asked)
        for each, partner in zip(truth, pairs, strict=True):
            if each.incident in going_on and counts(each):
                incident = (seed, each.incident, going_on[each.incident])
                score.incidents.add(incident)
                if partner in shown:
                    score.asked.add(incident)


def match(truth: Sequence[TrueObject], detections: Sequence[Detection]) -> list[int | None]:
    """For each true object the detection of its class that overlaps it most, each detection once."""
    overlaps = sorted(_overlaps(truth, detections), reverse=True)
    partners: list[int | None] = [None] * len(truth)
    taken: set[int] = set()
    for _overlap, place, detection in overlaps:
        if partners[place] is None and detection not in taken:
            partners[place] = detection
            taken.add(detection)
    return partners


def _overlaps(truth: Sequence[TrueObject], detections: Sequence[Detection]) -> Iterator[tuple[float, int, int]]:
    for place, each in enumerate(truth):
        for number, detection in enumerate(detections):
            if detection.object_class == each.object_class:
                overlap = intersection_over_union(each.box, detection.box)
                if overlap >= SAME_OBJECT:
                    yield overlap, place, number


def _score_objects(
    truth: Sequence[TrueObject], frame: DetectedFrame, pairs: Sequence[int | None], score: Score
) -> None:
    counted = Counter(partner is not None for each, partner in zip(truth, pairs, strict=True) if counts(each))
    score.found += counted[True]
    score.missed += counted[False]
    score.wrong += len(frame.detections) - sum(partner is not None for partner in pairs)


def _score_groups(
    truth: Sequence[TrueObject],
    frame: DetectedFrame,
    pairs: Sequence[int | None],
    configuration: DetectionConfiguration,
    score: Score,
) -> None:
    """Groups formed of the true boxes against those formed of the detected ones, by the members they share."""
    counted = [place for place, each in enumerate(truth) if counts(each)]
    true_detections = [Detection(truth[place].box, truth[place].object_class, 1.0) for place in counted]
    formed = form_groups(
        true_detections, width=frame.width, height=frame.height, configuration=configuration.post_processing
    )
    # A missed object keeps a number of its own, so that it counts against the overlap.
    names = [-1 - place if (partner := pairs[place]) is None else partner for place in counted]
    wanted = [frozenset(names[member] for member in group.members) for group in formed]
    got = [frozenset(group.members) for group in frame.groups]
    hits = sum(any(_alike(one, other) for other in got) for one in wanted)
    score.groups_found += hits
    score.groups_missed += len(wanted) - hits
    score.groups_wrong += sum(not any(_alike(one, other) for other in wanted) for one in got)


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    return len(one & other) >= SAME_OBJECT * len(one | other)


def _members_asked_about(frame: DetectedFrame, asked: Gated) -> set[int | None]:
    indices = {question.group_index for question in asked.questions}
    if WHOLE_FRAME in indices:
        return {place for place, each in enumerate(frame.detections) if each.object_class in ROAD_USERS}
    return {member for group in frame.groups if group.index in indices for member in group.members}


if __name__ == "__main__":
    main()
