"""Which traffic groups of a frame are worth a call. Pure: what it needs to know is passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assessment.ladder import LadderLevel
from assessment.risk import WHOLE_FRAME
from detection.detections import DetectedFrame, Detection, road_users
from trafficmon.core.objects import VEHICLES, ObjectClass


@dataclass(frozen=True, slots=True)
class Question:
    """One group (or, with index 0, the whole frame) that the model is to judge."""

    group_index: int
    urgent: bool


@dataclass(frozen=True, slots=True)
class Gated:
    """What is asked of a frame, or why nothing is."""

    questions: tuple[Question, ...]
    reason: str = ""


def gate(
    frame: DetectedFrame,
    *,
    enabled: bool,
    take_turn: Callable[[], bool],
    level: LadderLevel = LadderLevel.ALL,
) -> Gated:
    """What is asked of this frame; the camera's turn is taken only when there is something to ask."""
    if not enabled:
        return Gated((), "assessment is switched off")
    questions = questions_of(frame)
    if not questions:
        return Gated((), _too_few(frame))
    if not level.asks_a_model:
        return Gated((), "assessment is reduced: no model is asked")
    if level != LadderLevel.ALL:
        questions = tuple(each for each in questions if each.urgent)
        if not questions:
            return Gated((), "assessment is reduced: only urgent groups are asked about")
    if not take_turn():
        return Gated((), "the camera's cooldown has not passed")
    return Gated(questions)


def questions_of(frame: DetectedFrame) -> tuple[Question, ...]:
    """A question for each group; one for the whole frame where there is no group but at least two road users.

    What is parked raises no question: a person beside a parked car is not yet a pair.
    """
    if frame.groups:
        return tuple(Question(group.index, is_urgent(frame.members_of(group))) for group in frame.groups)
    users = [each for each in road_users(frame.detections) if not each.parked]
    return (Question(WHOLE_FRAME, is_urgent(users)),) if len(users) >= 2 else ()


def is_urgent(members: Sequence[Detection]) -> bool:
    """Whether a person and a vehicle are in it together, or somebody goes against a lane: those cannot wait."""
    classes = {member.object_class for member in members}
    mixed = ObjectClass.PERSON in classes and bool(classes & VEHICLES)
    return mixed or any(member.against_lane for member in members)


def _too_few(frame: DetectedFrame) -> str:
    parked = any(each.parked for each in frame.detections)
    return "fewer than two road users that are not parked" if parked else "fewer than two road users"
