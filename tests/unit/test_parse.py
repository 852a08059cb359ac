"""What models really return, and that nothing they return breaks the parser or passes for safe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assessment.clients import UnreadableAnswer
from assessment.configuration import RiskThresholds
from assessment.normalise import normalise
from assessment.parse import MAX_CHARACTERS, parse_answer
from assessment.risk import RiskLevel, RiskType, RiskVerdict

RESULT: dict[str, Any] = {
    "groupIndex": 2,
    "type": "pedestrian_conflict",
    "description": "行人与小汽车距离很近",
    "riskLevel": "medium",
    "confidence": 0.72,
    "riskTypes": ["人车冲突"],
    "dangerObjectCount": 2,
    "triggerObjectIds": [3, 5],
}
ANSWER = {"hasDangerousDriving": True, "maxRiskLevel": "medium", "results": [RESULT]}
VERDICT = RiskVerdict(
    2, RiskLevel.MEDIUM, RiskType.PEDESTRIAN_CONFLICT, "行人与小汽车距离很近", 0.72, ("人车冲突",), 2, (3, 5)
)
PLAIN = json.dumps(ANSWER, ensure_ascii=False)


def parse(text: str, *asked: int) -> tuple[RiskVerdict, ...]:
    return parse_answer(text, asked=frozenset(asked or {2}), thresholds=RiskThresholds())


def answer(*, whole: dict[str, Any] | None = None, **fields: Any) -> str:
    """An answer whose only result has these fields in place of the usual; None leaves a field out."""
    result = {key: value for key, value in {**RESULT, **fields}.items() if value is not None}
    return json.dumps({**(whole or {}), "results": [result]}, ensure_ascii=False)


def only(text: str) -> RiskVerdict:
    (verdict,) = parse(text)
    return verdict


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"```json\n{PLAIN}\n```",
        f"```\n{PLAIN}```",
        f"Here is my assessment:\n\n{PLAIN}\n\nLet me know.",
        f"好的，判断如下：{PLAIN}",
        f"// judged\n{PLAIN}",
        f'<think>maybe {{"riskLevel": "high"}}</think>\n{PLAIN}',
        PLAIN.replace('"medium"', '"medium" /* close */'),
        PLAIN.replace("]}]}", "],}],}"),
        PLAIN.replace('"', "'").replace("True", "true"),
        PLAIN[:-3],
        PLAIN.replace('": ', '"：').replace(', "', '，"'),
        json.dumps(PLAIN),
        json.dumps([ANSWER]),
        json.dumps([RESULT]),
        json.dumps(RESULT),
        json.dumps({"data": ANSWER}),
        json.dumps({"result": RESULT}),
        json.dumps({"results": {"2": {key: value for key, value in RESULT.items() if key != "groupIndex"}}}),
        json.dumps({"dangerousDrivingResults": [RESULT]}),
        json.dumps({**ANSWER, "results": json.dumps([RESULT])}),
        json.dumps({**ANSWER, "results": f"```json\n{json.dumps(RESULT)}\n```"}),
        json.dumps({"has_dangerous_driving": True, "max_risk_level": "medium", "Results": [{**RESULT}]}),
        PLAIN.replace("riskLevel", "risk_level").replace("groupIndex", "Group Index"),
        f"{json.dumps({'maxRiskLevel': 'low', 'results': [{**RESULT, 'riskLevel': 'low'}]})}\n改正：\n{PLAIN}",
        "\ufeff" + PLAIN,
    ],
)
def test_answer_is_read_in_every_wrapping(text: str) -> None:
    assert parse(text) == (VERDICT,)


@pytest.mark.parametrize(
    ("value", "confidence"),
    [
        (0.72, 0.72),
        ("0.72", 0.72),
        ("72%", 0.72),
        (72, 0.72),
        ("７２％", 0.72),
        ("0.5%", 0.005),
        ("约 0.9", 0.9),
        (1, 1.0),
        (-3, 0.0),
        (1e9, 1.0),
        ("high", 0.0),
        (None, 0.0),
        (True, 0.0),
        ([], 0.0),
        ({"value": 1}, 0.0),
    ],
)
def test_confidence_is_a_share_however_it_is_written(value: object, confidence: float) -> None:
    assert only(answer(confidence=value)).confidence == confidence


@pytest.mark.parametrize(
    ("value", "phrases"),
    [
        (["a", "b"], ("a", "b")),
        ("跟车过近，变道", ("跟车过近", "变道")),
        ("a, b;c", ("a", "b", "c")),
        ("a、b；c，d", ("a", "b", "c")),
        (["a、b"], ("a", "b")),
        (["a", "a", " a "], ("a",)),
        (["a", 7, None, ["b"]], ("a", "7", "b")),
        ([{"name": "a"}], ("a",)),
        ([], ("人车冲突",)),
        (None, ("人车冲突",)),
        ({}, ("人车冲突",)),
        ("x" * 500, ("x" * 40,)),
    ],
)
def test_risk_types_are_one_to_three_phrases(value: object, phrases: tuple[str, ...]) -> None:
    assert only(answer(riskTypes=value)).risk_types == phrases


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ([3, 5], (3, 5)),
        (["3", "5"], (3, 5)),
        ("3, 5", (3, 5)),
        ("3、5", (3, 5)),
        ("[3，5]", (3, 5)),
        (["id 3", {"id": 5}], (3, 5)),
        (3, (3,)),
        ([3, 3.0, -1, 1e30, None, "x"], (3,)),
        (None, ()),
    ],
)
def test_trigger_ids_are_whole_numbers(value: object, ids: tuple[int, ...]) -> None:
    assert only(answer(triggerObjectIds=value)).trigger_object_ids == ids


@pytest.mark.parametrize(
    ("value", "count"), [(4, 4), ("4", 4), ("4 辆", 4), (None, 2), ("many", 2), (-1, 2), (10**9, 1000)]
)
def test_danger_object_count_falls_back_on_the_triggers(value: object, count: int) -> None:
    assert only(answer(dangerObjectCount=value)).danger_object_count == count


@pytest.mark.parametrize(
    ("level", "confidence", "read"),
    [
        ("high", 0.1, RiskLevel.HIGH),
        ("中", 0.1, RiskLevel.MEDIUM),
        ("低风险", 0.99, RiskLevel.LOW),
        ("unsure", 0.9, RiskLevel.HIGH),
        ("unsure", "70%", RiskLevel.MEDIUM),
        ("none|low|medium|high", 0.5, RiskLevel.LOW),
        (None, 0.2, RiskLevel.NONE),
        (3, 0.7, RiskLevel.MEDIUM),
    ],
)
def test_unknown_level_is_derived_from_confidence(level: object, confidence: object, read: RiskLevel) -> None:
    assert only(answer(riskLevel=level, confidence=confidence)).level == read


@pytest.mark.parametrize(
    ("whole", "level", "confidence", "read"),
    [
        ({"hasDangerousDriving": True, "maxRiskLevel": "none"}, "none", 0.9, RiskLevel.LOW),
        ({"hasDangerousDriving": False, "maxRiskLevel": "none"}, "high", 0.9, RiskLevel.HIGH),
        ({"hasDangerousDriving": True, "maxRiskLevel": "high"}, "low", 0.9, RiskLevel.HIGH),
        ({"hasDangerousDriving": False}, "unsure", 0.95, RiskLevel.LOW),
        ({"hasDangerousDriving": "true"}, "none", 0.9, RiskLevel.LOW),
        ({"hasDangerousDriving": False}, None, None, RiskLevel.NONE),
        ({"maxRiskLevel": "medium"}, None, None, RiskLevel.MEDIUM),
    ],
)
def test_contradictions_are_settled_towards_danger(
    whole: dict[str, Any], level: str | None, confidence: float | None, read: RiskLevel
) -> None:
    assert only(answer(whole=whole, riskLevel=level, confidence=confidence)).level == read


@pytest.mark.parametrize(
    ("code", "phrases", "description", "read"),
    [
        ("wrong_way", ["拥堵"], "", RiskType.WRONG_WAY),
        ("Red-Light", [], "", RiskType.RED_LIGHT),
        ("闯红灯", ["其他"], "", RiskType.RED_LIGHT),
        ("other", ["跟车过近"], "", RiskType.TAILGATING),
        (None, ["congestion"], "a collision", RiskType.CONGESTION),
        (None, ["异常"], "两车碰撞", RiskType.COLLISION),
        ("flying", ["异常"], "", RiskType.OTHER),
    ],
)
def test_type_is_the_code_else_derived_from_the_words(
    code: str | None, phrases: list[str], description: str, read: RiskType
) -> None:
    assert only(answer(type=code, riskTypes=phrases, description=description)).type == read


@pytest.mark.parametrize("index", [None, 7, "group two", 0, -1, 2.5, True])
def test_missing_or_wrong_index_is_the_one_that_was_asked(index: object) -> None:
    assert only(answer(groupIndex=index)) == VERDICT


@pytest.mark.parametrize("index", ["2", "Group 2", 2.0, "第２组"])
def test_index_is_read_from_words(index: object) -> None:
    text = json.dumps({"results": [{**RESULT, "groupIndex": 9, "riskLevel": "high"}, {**RESULT, "groupIndex": index}]})
    assert parse(text) == (VERDICT,)


def test_several_groups_keep_their_own_verdicts() -> None:
    one, two = {**RESULT, "groupIndex": 1, "riskLevel": "low"}, RESULT
    verdicts = parse(json.dumps({"results": [two, one]}), 1, 2)
    assert [(each.group_index, each.level) for each in verdicts] == [(1, RiskLevel.LOW), (2, RiskLevel.MEDIUM)]


def test_verdict_of_unknown_owner_is_left_out_where_several_were_asked() -> None:
    with pytest.raises(UnreadableAnswer):
        parse(answer(groupIndex=None), 1, 2)


def test_graver_of_two_verdicts_for_one_group_stands() -> None:
    text = json.dumps({"results": [{**RESULT, "riskLevel": "low"}, RESULT, {**RESULT, "riskLevel": "none"}]})
    assert parse(text) == (VERDICT,)


def test_empty_results_of_a_safe_answer_mean_none() -> None:
    verdict = only('{"hasDangerousDriving": false, "maxRiskLevel": "none", "results": []}')
    assert (verdict.group_index, verdict.level, verdict.risk_types) == (2, RiskLevel.NONE, ("normal traffic",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "I am sorry, I cannot help with that.",
        "抱歉，我无法判断。",
        "{}",
        "[]",
        "null",
        "42",
        '"none"',
        '{"hasDangerousDriving": true}',
        '{"results": [{"groupIndex": 2, "description": "a car"}]}',
        '{"results": []}',
        '{"results": "none"}',
        '{"results": "{ I am sorry"}',
        "[" * 5000,
        '{"a":' * 1000,
        "```json\n```",
        "<think>forever",
    ],
)
def test_answer_that_says_nothing_of_risk_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        parse(text)


def test_high_of_mere_congestion_is_lowered() -> None:
    text = answer(type="congestion", riskLevel="high", riskTypes=["拥堵"], description="车辆排队")
    assert only(text).level == RiskLevel.LOW


def test_description_loses_what_a_database_cannot_hold() -> None:
    assert only(answer(description="a\x00b\ud800c" + "d" * 5000)).description == "abc" + "d" * 997


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.fixed_dictionaries(
    {}, optional={key: JSON | st.sampled_from([RESULT[key], "高", "high", "85%"]) for key in RESULT}
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={"hasDangerousDriving": JSON, "maxRiskLevel": JSON | st.sampled_from(RiskLevel)}
    | {"results": JSON | st.lists(FIELDS | JSON, max_size=4) | FIELDS},
)


def is_within_the_closed_sets(verdict: RiskVerdict, asked: frozenset[int]) -> bool:
    return (
        verdict.group_index in asked
        and verdict.level in set(RiskLevel)
        and verdict.type in set(RiskType)
        and 0.0 <= verdict.confidence <= 1.0
        and 1 <= len(verdict.risk_types) <= 3
        and all(0 < len(each) <= 40 for each in verdict.risk_types)
        and len(verdict.description) <= 1000
        and 0 <= verdict.danger_object_count <= 1000
        and all(0 <= each < 2**31 for each in verdict.trigger_object_ids)
        and normalise(verdict) == verdict
    )


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        ANSWERS.map(json.dumps),
        ANSWERS.map(lambda value: json.dumps(value, ensure_ascii=False).replace('"', "'")),
        st.tuples(st.just(PLAIN), st.integers(0, len(PLAIN)), st.text(max_size=8)).map(
            lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + 1 :]
        ),
        st.text(alphabet="{}[]\"':,：，“”\\/*#0a中e.-+ \n`", max_size=120),
        st.text(max_size=200),
    ),
    asked=st.frozensets(st.integers(0, 4), min_size=1, max_size=3),
)
@example(text='{"```json {"a":1} ```', asked=frozenset({1}))
@example(text="{'" * MAX_CHARACTERS, asked=frozenset({1}))
@example(text='{"confidence": 1' + "0" * 5000 + "}", asked=frozenset({1}))
def test_any_text_is_verdicts_in_the_closed_sets_or_unreadable(text: str, asked: frozenset[int]) -> None:
    try:
        verdicts = parse_answer(text, asked=asked, thresholds=RiskThresholds())
    except UnreadableAnswer:
        return
    indices = [each.group_index for each in verdicts]
    assert indices == sorted(set(indices))
    assert verdicts
    assert all(is_within_the_closed_sets(each, asked) for each in verdicts)
