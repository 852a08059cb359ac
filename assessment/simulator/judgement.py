"""Made-up verdicts: plain rules over the boxes of the prompt, with some seeded variety, in the prompt's language.

It is there so that everything after the model has something real to carry; it is no measure of anything.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

import json_repair

from assessment.simulator.scene import FOUR_WHEELED, Scene, Seen, closeness, find_scene, in_line_gap, walkers

HIGH_EVERY = 12
"""At most one answer in this many is `high`: a demo is to be looked at, not to be a flood of alarms."""

FIRST_HIGH_AFTER = 3

_ANSWER = re.compile(r"<answer>\n(.*)\n</answer>", re.DOTALL)
"""Another answer that is to be put into form."""
_CONFIDENCE = {"none": (0.85, 0.96), "low": (0.48, 0.62), "medium": (0.67, 0.78), "high": (0.83, 0.95)}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule makes of a scene, before it is put into words."""

    type: str
    level: str
    involved: tuple[Seen, ...]


NOTHING = Finding("other", "none", ())


@dataclass(slots=True)
class Judge:
    """Answers prompts; the same scene gets the same answer but for the limit on alarms."""

    seed: int
    _since_high: int = field(default=HIGH_EVERY - FIRST_HIGH_AFTER, init=False)

    def answer(self, system: str, text: str) -> tuple[str, str]:
        """The answer's JSON text, and its level."""
        chinese = _is_chinese(system or text)
        spoiled = _ANSWER.search(text)
        if spoiled:
            return _in_form(spoiled[1]), "repaired"
        scene = find_scene(text)
        if scene is None:
            return _spell(_blind_result(chinese=chinese)), "low"
        rng = random.Random(f"{self.seed}:{_identity(scene)}")
        finding = self._within_the_limit(_find(scene, rng))
        return _spell(_result(scene, finding, rng, chinese=chinese)), finding.level

    def _within_the_limit(self, finding: Finding) -> Finding:
        self._since_high += 1
        if finding.level != "high":
            return finding
        if self._since_high < HIGH_EVERY:
            return Finding(finding.type, "medium", finding.involved)
        self._since_high = 0
        return finding


def _in_form(spoiled: str) -> str:
    """The judgement that a spoiled answer still holds, as a model puts it into form; without any, no results."""
    found = json_repair.loads(spoiled.replace("\\u003c", "<"))
    is_answer = isinstance(found, dict) and isinstance(found.get("results"), list)
    return json.dumps(found if is_answer else {"results": []}, ensure_ascii=False)


def _is_chinese(text: str) -> bool:
    return not text.isascii() and sum("\u4e00" <= character <= "\u9fff" for character in text) > len(text) / 10


def _identity(scene: Scene) -> list[tuple[str, object]]:
    """What stays the same while the same road users are in much the same places."""
    places = ((each.kind, each.track if each.track is not None else _cell(scene, each)) for each in scene.objects)
    return sorted(places, key=str)


def _cell(scene: Scene, seen: Seen) -> tuple[int, int]:
    x, y = seen.box.foot
    return int(x / max(scene.width, 1) * 12), int(y / max(scene.height, 1) * 12)


def _find(scene: Scene, rng: random.Random) -> Finding:
    """The gravest of what the rules find; most scenes are nothing."""
    vehicles = [each for each in scene.objects if each.kind in FOUR_WHEELED]
    return (
        _pedestrian_conflict(walkers(scene), vehicles, rng)
        or _tailgating(vehicles, rng)
        or _congestion(vehicles, rng)
        or NOTHING
    )


_NEAR = 0.35
_CONFLICT_LEVELS = ((0.7, 0.45, "high"), (0.55, 0.65, "medium"), (0.0, 0.85, "low"))
"""Above which closeness, and for which share of such scenes, a conflict is given this level; the first that fits."""


def _pedestrian_conflict(people: tuple[Seen, ...], vehicles: list[Seen], rng: random.Random) -> Finding | None:
    pairs = itertools.product(people, vehicles)
    measured = ((closeness(person.box, vehicle.box), person, vehicle) for person, vehicle in pairs)
    nearest = max(measured, key=lambda pair: pair[0], default=None)
    if nearest is None or nearest[0] < _NEAR:
        return None
    near, person, vehicle = nearest
    draw = rng.random()
    level = next((level for above, share, level in _CONFLICT_LEVELS if near > above and draw < share), None)
    return Finding("pedestrian_conflict", level, (person, vehicle)) if level else None


def _tailgating(vehicles: list[Seen], rng: random.Random) -> Finding | None:
    pairs = ((in_line_gap(one.box, other.box), one, other) for one, other in itertools.combinations(vehicles, 2))
    measured = [(gap, one, other) for gap, one, other in pairs if gap is not None]
    nearest = min(measured, key=lambda pair: pair[0], default=None)
    if nearest is None or nearest[0] > 0.8 or rng.random() > 0.4:
        return None
    gap, one, other = nearest
    return Finding("tailgating", "medium" if gap < 0.45 else "low", (one, other))


def _congestion(vehicles: list[Seen], rng: random.Random) -> Finding | None:
    if len(vehicles) < 5 or rng.random() > 0.5:
        return None
    return Finding("congestion", "medium" if len(vehicles) >= 12 else "low", tuple(vehicles))


_WORDS: dict[bool, dict[str, tuple[str, str]]] = {
    True: {
        "pedestrian_conflict": ("行人与{vehicle}在画面{place}距离很近", "人车冲突"),
        "tailgating": ("画面{place}两车前后跟得过近", "跟车过近"),
        "congestion": ("画面{place}车辆密集、行驶缓慢", "拥堵"),
        "other": ("画面{place}交通正常，未见异常", "正常通行"),
    },
    False: {
        "pedestrian_conflict": ("A pedestrian is very close to a {vehicle} {place}.", "conflict with a pedestrian"),
        "tailgating": ("Two vehicles follow each other too closely {place}.", "following too closely"),
        "congestion": ("Dense, slow traffic {place}.", "congestion"),
        "other": ("Traffic is normal {place}; nothing abnormal.", "normal traffic"),
    },
}
_PLACES = {True: ("左侧", "中部", "右侧"), False: ("on the left", "in the middle", "on the right")}
_VEHICLES = {"car": "小汽车", "bus": "公交车", "truck": "货车"}
_ENDINGS = {
    (True, "high"): "，有相撞危险，需立即处置。",
    (True, "medium"): "，目前尚受控，需关注。",
    (False, "high"): " They may collide: act now.",
    (False, "medium"): " Still under control; keep watching.",
}


def _result(scene: Scene, finding: Finding, rng: random.Random, *, chinese: bool) -> dict[str, Any]:
    shown = finding.involved or scene.objects
    vehicle = next((each.kind for each in finding.involved if each.kind in FOUR_WHEELED), "car")
    sentence, risk_type = _WORDS[chinese][finding.type]
    description = sentence.format(
        vehicle=_VEHICLES[vehicle] if chinese else vehicle, place=_PLACES[chinese][_third(scene, shown)]
    )
    return {
        "groupIndex": scene.asked,
        "type": finding.type,
        "description": description + _ENDINGS.get((chinese, finding.level), "。" if chinese else ""),
        "riskLevel": finding.level,
        "confidence": round(rng.uniform(*_CONFIDENCE[finding.level]), 2),
        "riskTypes": [risk_type],
        "dangerObjectCount": len(finding.involved),
        "triggerObjectIds": [each.id for each in finding.involved],
    }


def _third(scene: Scene, shown: tuple[Seen, ...]) -> int:
    middle = sum(each.box.centre[0] for each in shown) / len(shown) if shown else scene.width / 2
    return min(2, max(0, int(3 * middle / max(scene.width, 1))))


def _blind_result(*, chinese: bool) -> dict[str, Any]:
    return {
        "groupIndex": 0,
        "type": "other",
        "description": "没有场景数据，无法判断。" if chinese else "No scene data to judge by.",
        "riskLevel": "low",
        "confidence": 0.3,
        "riskTypes": ["无法判断" if chinese else "cannot tell"],
        "dangerObjectCount": 0,
        "triggerObjectIds": [],
    }


def _spell(result: dict[str, Any]) -> str:
    answer = {
        "hasDangerousDriving": result["riskLevel"] in {"medium", "high"},
        "maxRiskLevel": result["riskLevel"],
        "results": [result],
    }
    return json.dumps(answer, ensure_ascii=False)
