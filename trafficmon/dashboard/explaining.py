"""Why an alert was raised: the pictures, what was seen to move and how, the verdict, and how long each step took."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assessment.group_outcomes import GroupOutcome, outcomes_of
from assessment.models import Assessment, EvidenceKind, FrameResult
from assessment.results import detected_frame
from detection.detections import DetectedFrame, Detection, PictureMotion
from trafficmon.core.geometry import Box

_WAYS = ("→", "↘", "↓", "↙", "←", "↖", "↑", "↗")
"""Clockwise from rightwards: in pictures y grows downwards."""
_CONDUCT = {
    "parked": gettext_lazy("parked"),
    "stopped": gettext_lazy("stopped"),
    "waiting": gettext_lazy("waits, perhaps for a light"),
    "against_lane": gettext_lazy("against its lane"),
}


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One road user as the page tells of it; `number` is its id for the model."""

    number: int
    seen: Detection
    is_trigger: bool

    @property
    def motion(self) -> str:
        return spell_motion(self.seen.motion, self.seen.box)

    @property
    def speed(self) -> str:
        return _spell_speed(self.seen.speed_kmh, self.seen.speed_deviation_kmh)

    @property
    def conduct(self) -> str:
        said = [str(words) for name, words in _CONDUCT.items() if getattr(self.seen, name)]
        return ", ".join([*said, *(zone.name for zone in self.seen.zones)])


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the way from the capture to the verdict."""

    name: str
    seconds: float


def explain(assessment: Assessment | None) -> dict[str, object]:
    """All that a page shows of a verdict; nothing where it is no longer kept."""
    if assessment is None:
        return {}
    frame = detected_frame(assessment.frame_result)
    group = next((each for each in frame.groups if each.index == assessment.group_index), None)
    everybody = frozenset(range(len(frame.detections)))
    members = frozenset(group.members) if group else everybody
    return {
        "assessment": assessment,
        "frame": frame,
        "judged": group.box if group else Box(0, 0, frame.width, frame.height),
        "place": (group.crop if group else Box(0, 0, frame.width, frame.height)).rounded(),
        "members": _objects(assessment, frame, members),
        "bystanders": _objects(assessment, frame, everybody - members),
        "closing_speed": _spell_speed(group.closing_speed_kmh, group.closing_speed_deviation_kmh) if group else "",
        "steps": steps_of(assessment, assessment.frame_result),
        "others": _others(assessment),
        **_pictures(assessment),
    }


def _pictures(assessment: Assessment) -> dict[str, object]:
    kept = list(assessment.evidence.order_by("kind", "number"))
    return {
        "crop": next((each for each in kept if each.kind == EvidenceKind.CROP), None),
        "whole": next((each for each in kept if each.kind == EvidenceKind.FRAME), None),
        "earlier": [each for each in kept if each.kind == EvidenceKind.EARLIER],
    }


def _objects(assessment: Assessment, frame: DetectedFrame, places: frozenset[int]) -> list[ObjectRow]:
    """Of these places among the frame's detections."""
    triggers = set(assessment.trigger_object_ids)
    return [ObjectRow(place + 1, frame.detections[place], place + 1 in triggers) for place in sorted(places)]


def _others(assessment: Assessment) -> list[GroupOutcome]:
    """What became of the other groups of the frame."""
    return [each for each in outcomes_of(assessment.frame_result) if each.group_index != assessment.group_index]


def spell_motion(motion: PictureMotion | None, box: Box) -> str:
    """Which way and how fast in the picture, also in heights of its own box; "" where it is not known.

    What moves less than twice its uncertainty is not said to move.
    """
    if motion is None:
        return ""
    speed = math.hypot(motion.right_px, motion.down_px)
    if speed < 2 * motion.deviation_px:
        return _("no motion that is sure")
    way = _WAYS[round(math.atan2(motion.down_px, motion.right_px) / (math.pi / 4)) % 8]
    figures = {"way": way, "speed": round(speed), "heights": f"{speed / max(box.height, 1):.1f}"}
    return _("%(way)s %(speed)d px/s, %(heights)s of its heights") % figures


def _spell_speed(kmh: float | None, deviation_kmh: float | None) -> str:
    return "" if kmh is None or deviation_kmh is None else f"{kmh:.0f} ± {deviation_kmh:.0f} km/h"


def steps_of(assessment: Assessment, row: FrameResult) -> list[Step]:
    """How long each step took. What is left of the time to the answer was waiting: for a worker, a key, another try."""
    to_detected = (row.detected_at - row.captured_at).total_seconds()
    steps = [
        Step(_("From the capture to the detection's end"), to_detected),
        Step(_("of that, detection itself"), row.process_seconds),
    ]
    if assessment.ended_at is None:
        return steps
    to_answer = (assessment.ended_at - assessment.created_at).total_seconds()
    model = assessment.llm_seconds or 0.0
    steps += [Step(_("Waited for a worker and a key"), max(to_answer - model, 0.0)), Step(_("Model took"), model)]
    return [*steps, Step(_("In all"), (assessment.ended_at - row.captured_at).total_seconds())]
