"""What the model is asked about a traffic group: a versioned template filled with the facts of the scene. Pure but for
reading the template."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any

from assessment.clients import Question
from assessment.risk import WHOLE_FRAME
from detection.detections import PictureMotion
from trafficmon.core.clock import spell
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

PROMPTS = Path(__file__).parent / "prompts"
DIVIDER = "\n---\n"
"""Between the part of a template that instructs the model and the part that carries the scene."""

MAX_OBJECTS = 40
"""Told of a scene: the asked group's members, then those nearest to them; 200 would cost more than the picture."""

MAX_GROUPS = 20


class UnusablePrompt(Exception):  # it is what the template is
    """A prompt template is missing or malformed; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """One detected object; `id` is what the answer's trigger ids refer to, `box` is in pixels of the frame."""

    id: int
    object_class: ObjectClass
    box: Box
    confidence: float
    track_id: int | None = None
    motion: PictureMotion | None = None
    """In the picture, where known."""
    zones: tuple[str, ...] = ()
    """Kinds of the zones it stands in. Not their names: people write into those what they like."""
    parked: bool = False
    against_lane: bool = False
    speed_kmh: tuple[float, float] | None = None
    """Along the road, and its standard deviation, where known."""


@dataclass(frozen=True, slots=True)
class GroupOutline:
    """One traffic group: `members` are ids of objects."""

    index: int
    box: Box
    members: tuple[int, ...]
    closing_speed_kmh: tuple[float, float] | None = None
    """The greatest at which two members approach each other, and its standard deviation, where known."""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """Everything the model is told beside the pictures; `asked` is the group to judge, 0 for the whole frame.

    The camera's name is not among it: it tells nothing of the scene, and people write into it what they like.
    """

    width: int
    height: int
    captured_at: datetime
    objects: tuple[ObjectFacts, ...]
    groups: tuple[GroupOutline, ...]
    asked: int = WHOLE_FRAME
    region: Box | None = None
    """The part of the frame that the pictures show, where it is not the whole."""
    has_wide: bool = False
    """Whether the first picture is the whole scene all the same."""


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template in one language; `version` names it and changes with every change of its text."""

    version: str
    system: str
    text: Template


MAX_REPAIRED = 6_000
"""Characters of an answer that are sent back: as many as are read."""


def build_repair(question: Question, answer: str) -> Question:
    """A question without pictures: the same judgement as JSON, which `answer` to `question` was not."""
    told = answer[:MAX_REPAIRED].replace("<", "\\u003c")
    return replace(question, system=_repair_text(), text=f"The text:\n<answer>\n{told}\n</answer>", pictures=())


@lru_cache(maxsize=1)
def _repair_text() -> str:
    return (PROMPTS / "repair.txt").read_text(encoding="utf-8").strip()


def build_question(
    facts: GroupFacts, pictures: Sequence[bytes], *, model: str, language: str, template: str
) -> Question:
    """The question about `facts.asked`, with `pictures` (JPEG or PNG, in time order); raises UnusablePrompt."""
    loaded = load_template(template, language)
    return Question(
        model=model,
        system=loaded.system,
        text=loaded.text.substitute(scene=scene_json(facts, picture_count=len(pictures))),
        pictures=tuple(pictures),
        prompt_version=loaded.version,
    )


@lru_cache(maxsize=16)
def load_template(template: str, language: str) -> PromptTemplate:
    """The template of that name (or folder) in `language`; raises UnusablePrompt where it cannot be used."""
    path = _folder(template) / f"{language}.txt"
    try:
        content = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"The prompt template {path} cannot be read: {error}. Correct llm.prompt_template."
        raise UnusablePrompt(message) from None
    system, found, text = content.partition(DIVIDER)
    _check(path, system, text if found else "")
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return PromptTemplate(f"{path.parent.name}/{language}@{digest}", system.strip(), Template(text.strip()))


def _folder(template: str) -> Path:
    """A bare name is one of ours; anything with a separator is a path of the operator's."""
    return Path(template) if "/" in template or "\\" in template else PROMPTS / template


def _check(path: Path, system: str, text: str) -> None:
    wrong = ""
    if not system.strip() or not text.strip():
        wrong = "needs two parts with a line of three dashes between them"
    elif not Template(text).is_valid() or Template(text).get_identifiers() != ["scene"]:
        wrong = "must name $scene, and no other $word, in its second part"
    elif "json" not in system.lower():
        wrong = "must ask for JSON"
    elif text.lstrip().startswith(("$", "~", "/", "file:", "oss:", "http")):
        wrong = "must begin its second part with words"
    if wrong:
        message = f"The prompt template {path} {wrong}."
        raise UnusablePrompt(message)


def scene_json(facts: GroupFacts, *, picture_count: int) -> str:
    """The scene as compact JSON in which no text can close the markers around it."""
    objects = _nearest_objects(facts)
    picture: dict[str, Any] = {"width": facts.width, "height": facts.height, "count": picture_count}
    if facts.region:
        picture |= {"region": _pixels(facts.region), "wide": facts.has_wide}
    scene = {
        "picture": {**picture, "capturedAt": spell(facts.captured_at)},
        "objects": [_told(each) for each in objects],
        "objectsNotListed": len(facts.objects) - len(objects),
        "groups": [
            _outlined(each) for each in sorted(facts.groups, key=lambda group: group.index != facts.asked)[:MAX_GROUPS]
        ],
        "judge": facts.asked,
    }
    spelled = json.dumps(scene, ensure_ascii=True, separators=(",", ":"))
    return spelled.replace("<", "\\u003c").replace(">", "\\u003e")


def _nearest_objects(facts: GroupFacts) -> list[ObjectFacts]:
    asked = next((group for group in facts.groups if group.index == facts.asked), None)
    members = frozenset(asked.members) if asked else frozenset()
    middle = asked.box.centre if asked else (facts.width / 2, facts.height / 2)

    def order(each: ObjectFacts) -> tuple[bool, float]:
        x, y = each.box.centre
        return each.id not in members, (x - middle[0]) ** 2 + (y - middle[1]) ** 2

    return sorted(sorted(facts.objects, key=order)[:MAX_OBJECTS], key=lambda each: each.id)


def _told(each: ObjectFacts) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": each.id,
        "class": each.object_class.value,
        "box": _pixels(each.box),
        "confidence": round(each.confidence, 2),
    }
    if each.track_id is not None:
        told["track"] = each.track_id
    if each.motion is not None:
        told |= _motion(each.motion, each.box)
    if each.speed_kmh is not None:
        told["speedKmh"] = [round(number) for number in each.speed_kmh]
    conduct = {"zones": list(each.zones), "parked": each.parked, "againstLane": each.against_lane}
    return told | {name: value for name, value in conduct.items() if value}


def _motion(motion: PictureMotion, box: Box) -> dict[str, Any]:
    """In pixels a second, and what that means near and far alike: in heights of its own box."""
    height = max(box.height, 1.0)
    speed = math.hypot(motion.right_px, motion.down_px)
    return {
        "motion": [round(motion.right_px), round(motion.down_px)],
        "heightsPerSecond": [round(speed / height, 2), round(motion.deviation_px / height, 2)],
    }


def _outlined(each: GroupOutline) -> dict[str, Any]:
    told: dict[str, Any] = {"groupIndex": each.index, "box": _pixels(each.box), "objectIds": list(each.members)}
    if each.closing_speed_kmh is not None:
        told["closingSpeedKmh"] = [round(number) for number in each.closing_speed_kmh]
    return told


def _pixels(box: Box) -> list[int]:
    return [round(box.x1), round(box.y1), round(box.x2), round(box.y2)]
