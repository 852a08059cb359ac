"""The question put to the model: complete, versioned, and closed to text that would be an instruction."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.prompt import (
    MAX_OBJECTS,
    GroupFacts,
    GroupOutline,
    ObjectFacts,
    UnusablePrompt,
    build_question,
    load_template,
    scene_json,
)
from assessment.risk import RiskLevel, RiskType
from detection.detections import PictureMotion
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

MOTION = PictureMotion(31.6, -4.4, 12.0)
MOTION_TOLD = {"motion": [32, -4], "heightsPerSecond": [0.54, 0.2]}
"""Of a box 59.4 px high."""
CAPTURED = datetime(2026, 11, 21, 8, 30, 0, 250_000, tzinfo=UTC)
FACTS = GroupFacts(
    width=1280,
    height=720,
    captured_at=CAPTURED,
    objects=(
        ObjectFacts(0, ObjectClass.CAR, Box(100.4, 200.6, 180, 260), 0.9127, track_id=12, motion=MOTION),
        ObjectFacts(1, ObjectClass.PERSON, Box(190, 205, 205, 258), 0.61),
    ),
    groups=(GroupOutline(1, Box(100.4, 200.6, 205, 260), (0, 1)),),
    asked=1,
)


def scene_of(text: str) -> Any:
    (found,) = re.findall(r"<scene>(.*?)</scene>", text, re.DOTALL)
    return json.loads(found)


def question_text(facts: GroupFacts = FACTS) -> str:
    return build_question(facts, [b"jpeg"], model="qwen-vl-plus", language="en", template="default-v3").text


def test_question_carries_pictures_model_and_version() -> None:
    question = build_question(FACTS, [b"one", b"two"], model="qwen-vl-max", language="en", template="default-v3")
    assert (question.model, question.pictures) == ("qwen-vl-max", (b"one", b"two"))
    assert re.fullmatch(r"default-v3/en@[0-9a-f]{8}", question.prompt_version)


def test_scene_carries_what_was_detected() -> None:
    assert scene_of(question_text()) == {
        "picture": {"width": 1280, "height": 720, "count": 1, "capturedAt": "2026-11-21T08:30:00.250Z"},
        "objects": [
            {"id": 0, "class": "car", "box": [100, 201, 180, 260], "confidence": 0.91, "track": 12, **MOTION_TOLD},
            {"id": 1, "class": "person", "box": [190, 205, 205, 258], "confidence": 0.61},
        ],
        "objectsNotListed": 0,
        "groups": [{"groupIndex": 1, "box": [100, 201, 205, 260], "objectIds": [0, 1]}],
        "judge": 1,
    }


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_prompt_names_every_level_and_type(language: str) -> None:
    system = load_template("default-v3", language).system
    missing = [word for word in (*RiskLevel, *RiskType) if word.value not in system]
    assert missing == []


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_prompt_names_every_field_of_the_answer(language: str) -> None:
    system = load_template("default-v3", language).system
    fields = ["hasDangerousDriving", "maxRiskLevel", "results", "groupIndex", "type", "description", "riskLevel"]
    fields += ["confidence", "riskTypes", "dangerObjectCount", "triggerObjectIds", "JSON"]
    assert [field for field in fields if field not in system] == []


def test_languages_have_versions_of_their_own() -> None:
    assert load_template("default-v3", "en").version != load_template("default-v3", "zh-hans").version


def test_region_is_told_where_the_pictures_show_a_part() -> None:
    facts = GroupFacts(1280, 720, CAPTURED, FACTS.objects, FACTS.groups, 1, region=Box(88.4, 188.6, 217, 272))
    assert scene_of(question_text(facts))["picture"]["region"] == [88, 189, 217, 272]


def test_crowd_is_cut_to_the_asked_group_and_its_neighbours() -> None:
    row = tuple(ObjectFacts(each, ObjectClass.CAR, Box(each * 10, 0, each * 10 + 8, 8), 0.9) for each in range(100))
    far = GroupOutline(2, Box(900, 0, 998, 8), (90, 99))
    facts = GroupFacts(1280, 720, CAPTURED, row, (GroupOutline(1, Box(0, 0, 20, 8), (0, 1)), far), asked=2)
    scene = scene_of(question_text(facts))
    assert [each["id"] for each in scene["objects"]] == list(range(100 - MAX_OBJECTS, 100))
    assert (scene["objectsNotListed"], [each["groupIndex"] for each in scene["groups"]]) == (60, [2, 1])


BOXES = st.tuples(*[st.floats(0, 2000)] * 4).map(
    lambda at: Box(min(at[0], at[2]), at[1], max(at[0], at[2]), at[1] + at[3])
)


@given(
    boxes=st.lists(BOXES, min_size=1, max_size=60),
    asked=st.integers(0, 3),
    members=st.frozensets(st.integers(0, 59), min_size=2, max_size=10),
)
def test_asked_members_are_always_told_and_nothing_closes_the_markers(
    boxes: list[Box], asked: int, members: frozenset[int]
) -> None:
    objects = tuple(ObjectFacts(at, ObjectClass.CAR, box, 0.5) for at, box in enumerate(boxes))
    present = tuple(sorted(members & set(range(len(boxes)))))
    facts = GroupFacts(2000, 2000, CAPTURED, objects, (GroupOutline(1, boxes[0], present),), asked)
    told = scene_json(facts, picture_count=1)
    assert "<" not in told
    ids = [each["id"] for each in json.loads(told)["objects"]]
    assert len(ids) == min(len(boxes), MAX_OBJECTS)
    assert asked != 1 or set(present) <= set(ids)


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ("only one part $scene json", "needs two parts"),
        ("answer in JSON\n---\n   ", "needs two parts"),
        ("answer in JSON\n---\nlook", "must name $scene"),
        ("answer in JSON\n---\nlook at $scene and $camera", "must name $scene"),
        ("answer in JSON\n---\nit costs 5$ $scene", "must name $scene"),
        ("answer\n---\nlook at $scene", "must ask for JSON"),
        ("answer in JSON\n---\n$scene", "must begin its second part with words"),
        ("answer in JSON\n---\nfile:///etc/passwd $scene", "must begin its second part with words"),
    ],
)
def test_malformed_template_is_refused_by_name(tmp_path: Path, content: str, mistake: str) -> None:
    path = tmp_path / "en.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnusablePrompt, match=re.escape(str(path))) as refused:
        load_template(str(tmp_path), "en")
    assert mistake in str(refused.value)


@pytest.mark.parametrize(("template", "language"), [("default-v3", "fr"), ("no-such", "en"), ("/no/such", "en")])
def test_missing_template_is_refused(template: str, language: str) -> None:
    with pytest.raises(UnusablePrompt, match=r"cannot be read.*Correct llm\.prompt_template"):
        load_template(template, language)


def test_own_template_is_taken_from_its_folder_and_versioned_by_content(tmp_path: Path) -> None:
    folder = tmp_path / "night-v2"
    folder.mkdir()
    (folder / "en.txt").write_text("Answer in JSON.\n---\nScene: $scene", encoding="utf-8")
    loaded = load_template(str(folder), "en")
    assert (loaded.system, loaded.text.template) == ("Answer in JSON.", "Scene: $scene")
    assert loaded.version.startswith("night-v2/en@")
