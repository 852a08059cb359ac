"""What the gate lets through, and what it misses: `make bench-gate ARGS="--seconds 180"`.

Streets whose seeds the sample model was not trained on are sampled as a camera does, once with nothing drawn on the
picture and once with the lanes drawn and the camera calibrated, and each frame goes through the gate with several
thresholds against the street's own incidents. A model that is asked is taken to be right: it finds an incident where
somebody who takes part in it is in the group. Prints tables, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from assessment.configuration import LlmConfiguration
from assessment.gate import Candidate, Circumstances, GateRules, candidates_of, gate
from assessment.repeats import JudgedGroup
from assessment.risk import RiskLevel, RiskType, RiskVerdict
from cameras.frames import FrameRef
from cameras.street import SCENES, Incident, ScriptedIncident, Street
from detection.backends import load_detector
from detection.configuration import DetectionConfiguration
from detection.detect import NOTHING_DRAWN, FramePipeline, Shot, detect_frame
from detection.detections import DetectedFrame
from detection.observing import CameraRules
from detection.tracks import TrackerState
from tests.load.bench_street import COOLDOWN_SECONDS, INTERVAL_SECONDS, match
from tests.load.street_lanes import draw_lanes
from tests.load.street_moments import START, counts
from tests.load.true_speeds import calibrate

UNSEEN_SEEDS = (9001, 9002, 9003)
THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
WAYS = {"nothing drawn, 1 of a burst": (False, 1), "lanes drawn and calibrated, 3 of a burst": (True, 3)}
"""Whether something is drawn, and how many pictures of each burst are detected: motion needs more than one."""
BURST_STEP_SECONDS = 0.16
LLM = LlmConfiguration()
Happening = tuple[str, int, Incident, float]
"""Scene, seed, kind and beginning of one incident."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One frame, and which of its detections take part in an incident that can be seen."""

    seconds: float
    frame: DetectedFrame
    parts: dict[int, Happening]


@dataclass(slots=True)
class Tally:
    """What became of the groups of all frames with one threshold."""

    candidates: int = 0
    likely: int = 0
    asked: int = 0
    reused: int = 0
    seen: set[Happening] = field(default_factory=set)
    likely_to_show: set[Happening] = field(default_factory=set)
    found: set[Happening] = field(default_factory=set)
    hidden_by_reuse: int = 0
    microseconds: list[float] = field(default_factory=list)

    def row(self, reference: Tally) -> dict[str, float]:
        """Shares of all candidates and of all incidents; what is saved is of the calls of `reference`."""
        return {
            "groups": self.candidates,
            "likely": _share(self.likely, self.candidates),
            "asked": _share(self.asked, self.candidates),
            "calls": self.asked,
            "calls_saved": _share(reference.asked - self.asked, reference.asked),
            "reused": _share(self.reused, self.candidates),
            "hidden_by_reuse": self.hidden_by_reuse,
            "incidents": len(self.seen),
            "incidents_likely": _share(len(self.likely_to_show), len(self.seen)),
            "incidents_asked": _share(len(self.found), len(self.seen)),
            "milliseconds_a_frame": round(sum(self.microseconds) / max(1, len(self.microseconds)) / 1000, 3),
        }


def _share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="of street time for each scene and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=UNSEEN_SEEDS)
    options = parser.parse_args()
    told = {}
    for name, (drawn, burst) in WAYS.items():
        streets = list(_watch_all(options, drawn=drawn, burst=burst))
        told[name] = {
            "by_threshold": _by_threshold(streets),
            "reuse": _with_reuse(streets),
            "by_incident": _by_incident(streets),
            "by_scene": _by_scene(streets, len(options.seeds)),
        }
        for kind, rows in told[name].items():
            for row, figures in rows.items():
                print(f"{name}, {kind}, {row}", json.dumps(figures))
    print(json.dumps({"bench": "gate", "seconds": options.seconds, "seeds": list(options.seeds), "rows": told}))


def _watch_all(options: argparse.Namespace, *, drawn: bool, burst: int) -> Iterator[list[Watched]]:
    configuration = DetectionConfiguration()
    pipeline = FramePipeline(load_detector(configuration, weights_dir=Path("weights")), configuration)
    for scene in SCENES:
        for seed in options.seeds:
            street = Street(scene, seed=seed)
            calibration = calibrate(street, seed) if drawn else None
            rules = CameraRules(zones=draw_lanes(street, scene), calibration=calibration) if drawn else NOTHING_DRAWN
            yield _watch(street, (scene, seed), options.seconds, _looking(pipeline, rules, burst))


def _looking(pipeline: FramePipeline, rules: CameraRules, burst: int) -> Callable[[Street, float], DetectedFrame]:
    """What the fleet's detection makes of a street at one moment after the other."""
    tracks: TrackerState | None = None

    def look(street: Street, now: float) -> DetectedFrame:
        nonlocal tracks
        shots = []
        for before in range(burst - 1, -1, -1):
            at = now - before * BURST_STEP_SECONDS
            street.advance_to(at)
            shots.append(Shot(street.render(), START + timedelta(seconds=at)))
        ref = FrameRef(1, f"{now:.1f}", shots[-1].captured_at)
        frame, tracks = detect_frame(shots, ref, pipeline=pipeline, rules=rules, tracks=tracks)
        return frame

    return look


def _watch(
    street: Street, name: tuple[str, int], seconds: float, look: Callable[[Street, float], DetectedFrame]
) -> list[Watched]:
    """The street's frames, and who in them takes part in an incident."""
    script = street.incidents(seconds)
    return [
        _watched(street, name, number * INTERVAL_SECONDS, look, script)
        for number in range(1, int(seconds / INTERVAL_SECONDS))
    ]


def _watched(
    street: Street,
    name: tuple[str, int],
    now: float,
    look: Callable[[Street, float], DetectedFrame],
    script: Sequence[ScriptedIncident],
) -> Watched:
    """Whom the detector missed has a place below 0."""
    frame = look(street, now)
    going_on = {each.kind: each.starts_at for each in script if each.starts_at <= now <= each.ends_at}
    truth = [each for each in street.truth() if each.incident in going_on and counts(each)]
    places = enumerate(match(truth, frame.detections), start=1)
    parts = {
        -number if partner is None else partner: (*name, each.incident, going_on[each.incident])
        for each, (number, partner) in zip(truth, places, strict=True)
        if each.incident
    }
    return Watched(now, frame, parts)


def _by_threshold(streets: Sequence[list[Watched]]) -> dict[str, dict[str, float]]:
    tallies = {each: _gate_all(streets, GateRules(ask_from=each)) for each in THRESHOLDS}
    return {f"{each:g}": tally.row(tallies[0.0]) for each, tally in tallies.items()}


def _with_reuse(streets: Sequence[list[Watched]]) -> dict[str, dict[str, float]]:
    reference = _gate_all(streets, GateRules())
    rules = GateRules(ask_from=LLM.prior_threshold.ask, reuse_overlap=LLM.reuse_overlap)
    return {
        f"{seconds:g} s": _gate_all(streets, rules, reuse_seconds=seconds).row(reference)
        for seconds in (0.0, 5.0, LLM.reuse_seconds, 20.0, 30.0)
    }


def _by_incident(streets: Sequence[list[Watched]]) -> dict[str, dict[str, float]]:
    """With the configured threshold and reuse, for each kind."""
    rules = GateRules(ask_from=LLM.prior_threshold.ask, reuse_overlap=LLM.reuse_overlap)
    everything = _gate_all(streets, GateRules())
    tally = _gate_all(streets, rules, reuse_seconds=LLM.reuse_seconds)
    told = {}
    for kind in Incident:
        seen = {each for each in tally.seen if each[2] is kind}
        told[str(kind)] = {
            "incidents": len(seen),
            "asked_without_gate": _share(len(everything.found & seen), len(seen)),
            "likely": _share(len(tally.likely_to_show & seen), len(seen)),
            "asked": _share(len(tally.found & seen), len(seen)),
        }
    return told


def _by_scene(streets: Sequence[list[Watched]], seeds: int) -> dict[str, dict[str, float]]:
    """With the configured threshold and reuse: how crowded the groups are, and what is gained, for each scene."""
    rules = GateRules(ask_from=LLM.prior_threshold.ask, reuse_overlap=LLM.reuse_overlap)
    told = {}
    for number, scene in enumerate(SCENES):
        own = streets[number * seeds : (number + 1) * seeds]
        row = _gate_all(own, rules, reuse_seconds=LLM.reuse_seconds).row(_gate_all(own, GateRules()))
        members = [len(one.members) for watched in own for each in watched for one in candidates_of(each.frame)]
        told[scene] = {"members": round(sum(members) / max(1, len(members)), 1), **row}
    return told


def _gate_all(streets: Sequence[list[Watched]], rules: GateRules, *, reuse_seconds: float = 0.0) -> Tally:
    tally = Tally()
    for watched in streets:
        _gate_one(watched, rules, reuse_seconds, tally)
    return tally


@dataclass(slots=True)
class Camera:
    """Its cooldown and what was judged of it, on the street's own clock."""

    asked_at: float = -math.inf
    judged: list[tuple[float, JudgedGroup]] = field(default_factory=list)

    def circumstances(self, now: float, reuse_seconds: float) -> Circumstances:
        lately = [one for at, one in reversed(self.judged) if now - at <= reuse_seconds]
        return Circumstances(lambda: self.is_due(now), lambda: self.take_turn(now), lambda: lately)

    def is_due(self, now: float) -> bool:
        return now - self.asked_at >= COOLDOWN_SECONDS

    def take_turn(self, now: float) -> bool:
        if not self.is_due(now):
            return False
        self.asked_at = now
        return True


def _gate_one(watched: Sequence[Watched], rules: GateRules, reuse_seconds: float, tally: Tally) -> None:
    camera = Camera()
    for each in watched:
        candidates = {one.group_index: one for one in candidates_of(each.frame)}
        started = perf_counter()
        gated = gate(each.frame, rules, camera.circumstances(each.seconds, reuse_seconds))
        tally.microseconds.append((perf_counter() - started) * 1e6)
        likely = [one for one in candidates.values() if one.prior.score >= rules.ask_from]
        tally.candidates += len(candidates)
        tally.likely += len(likely)
        tally.asked += len(gated.questions)
        tally.reused += len(gated.repeats)
        tally.seen |= set(each.parts.values())
        tally.likely_to_show |= {one for candidate in likely for one in _shown(candidate, each)}
        for question in gated.questions:
            shown = _shown(candidates[question.group_index], each)
            tally.found |= shown
            camera.judged.append((each.seconds, _judged(candidates[question.group_index], each.frame, bool(shown))))
        tally.hidden_by_reuse += sum(bool(_shown(candidates[one.group_index], each)) for one in gated.repeats)


def _shown(candidate: Candidate, watched: Watched) -> set[Happening]:
    """The incidents that a model would see in it: of a whole frame all of them, also whom the detector missed."""
    if candidate.group_index == 0:
        return set(watched.parts.values())
    return {watched.parts[place] for place in candidate.members if place in watched.parts}


def _judged(candidate: Candidate, frame: DetectedFrame, is_danger: bool) -> JudgedGroup:
    level = RiskLevel.HIGH if is_danger else RiskLevel.NONE
    verdict = RiskVerdict(candidate.group_index, level, RiskType.OTHER, "", 1.0, (), 0, ())
    return JudgedGroup(0, {each: frame.detections[each] for each in candidate.members}, candidate.prior.score, verdict)


if __name__ == "__main__":
    main()
