"""One call, from what detection knows of a frame to the parsed verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings

from assessment.clients import Answer, Question, UnableToAssess, UnreadableAnswer
from assessment.evidence import Pictures
from assessment.parse import parse_answer
from assessment.prompt import GroupFacts, GroupOutline, ObjectFacts, build_question, build_repair
from assessment.risk import WHOLE_FRAME, RiskVerdict
from assessment.showing import Shown, show
from detection.detections import DetectedFrame, Detection, TrafficGroup
from trafficmon.core import tracing


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, the words it was read from, and the prompt they answer."""

    verdict: RiskVerdict
    answer: Answer
    prompt_version: str


def judge(
    frame: DetectedFrame,
    group_index: int,
    pictures: Pictures,
    *,
    ask: Callable[[Question], Answer],
    model: str = "",
) -> Judgement:
    """Have the model (the configured one, unless another is named) asked about one group (0: the whole frame).

    Raises UnableToAssess.
    """
    environment, configuration = settings.ENVIRONMENT, settings.MODEL_FILE.llm
    shown = show(frame, group_index, pictures)
    question = build_question(
        facts_of(frame, group_index, shown),
        shown.pictures,
        model=model or environment.llm_model,
        language=environment.language,
        template=configuration.prompt_template,
    )
    answer = ask(question)
    try:
        verdict = _read(answer, group_index)
    except UnreadableAnswer as unreadable:
        answer = _repair(question, answer, unreadable, ask)
        verdict = _read(answer, group_index)
    return Judgement(verdict, answer, question.prompt_version)


def _read(answer: Answer, group_index: int) -> RiskVerdict:
    thresholds = settings.MODEL_FILE.llm.risk_threshold
    with tracing.span("assess.parse"):
        [verdict] = parse_answer(answer.text, asked=frozenset({group_index}), thresholds=thresholds)
    return verdict


def _repair(question: Question, answer: Answer, why: UnreadableAnswer, ask: Callable[[Question], Answer]) -> Answer:
    """Have the model put its own words into form, once, which is cheaper than to show it all again.

    Both calls count. Where this one fails, the answer stays unreadable: asking again later is another matter.
    """
    try:
        repaired = ask(build_repair(question, answer.text))
    except UnableToAssess:
        raise why from None
    return replace(
        repaired,
        input_tokens=answer.input_tokens + repaired.input_tokens,
        output_tokens=answer.output_tokens + repaired.output_tokens,
        seconds=answer.seconds + repaired.seconds,
    )


def facts_of(frame: DetectedFrame, group_index: int, shown: Shown) -> GroupFacts:
    """What the model is told beside the pictures. An object's id is its place in the frame's detections, from 1."""
    group = next((each for each in frame.groups if each.index == group_index), None)
    return GroupFacts(
        width=frame.width,
        height=frame.height,
        captured_at=frame.captured_at,
        objects=tuple(_object_facts(number, each) for number, each in enumerate(frame.detections, 1)),
        groups=tuple(map(_outline, frame.groups)),
        asked=group_index if group else WHOLE_FRAME,
        region=shown.region,
        has_wide=shown.has_wide,
    )


def _object_facts(number: int, seen: Detection) -> ObjectFacts:
    return ObjectFacts(
        number,
        seen.object_class,
        seen.box,
        seen.confidence,
        seen.track_id,
        motion=seen.motion,
        zones=tuple(dict.fromkeys(zone.kind for zone in seen.zones)),
        parked=seen.parked,
        against_lane=seen.against_lane,
        speed_kmh=_known(seen.speed_kmh, seen.speed_deviation_kmh),
    )


def _outline(group: TrafficGroup) -> GroupOutline:
    members = tuple(member + 1 for member in group.members)
    closing = _known(group.closing_speed_kmh, group.closing_speed_deviation_kmh)
    return GroupOutline(group.index, group.box, members, closing)


def _known(kmh: float | None, deviation_kmh: float | None) -> tuple[float, float] | None:
    return None if kmh is None or deviation_kmh is None else (kmh, deviation_kmh)
