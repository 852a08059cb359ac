"""Words of verdicts and the lowering of a `high` that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.configuration import RiskThresholds
from assessment.normalise import (
    SOFT,
    gravest_type,
    level_named,
    level_of_confidence,
    name_of,
    normalise,
    type_coded,
    types_named,
)
from assessment.risk import RiskLevel, RiskType, RiskVerdict


def verdict(
    level: RiskLevel = RiskLevel.HIGH,
    *,
    risk_types: tuple[str, ...] = (),
    description: str = "",
    risk_type: RiskType = RiskType.OTHER,
) -> RiskVerdict:
    return RiskVerdict(1, level, risk_type, description, 0.9, risk_types, 2, (0, 1))


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("none", RiskLevel.NONE),
        ("无风险", RiskLevel.NONE),
        ("正常", RiskLevel.NONE),
        ("LOW", RiskLevel.LOW),
        ("轻微", RiskLevel.LOW),
        ("低风险", RiskLevel.LOW),
        ("Medium risk", RiskLevel.MEDIUM),
        ("中等", RiskLevel.MEDIUM),
        ("可疑", RiskLevel.MEDIUM),
        (" High ", RiskLevel.HIGH),
        ("HIGH", RiskLevel.HIGH),
        ("风险等级：高", RiskLevel.HIGH),
        ("very-high", RiskLevel.HIGH),
        ("严重", RiskLevel.HIGH),
        ("none|low|medium|high", None),
        ("urgent", None),
        ("", None),
    ],
)
def test_level_named_knows_both_languages(word: str, level: RiskLevel | None) -> None:
    assert level_named(word) == level


@pytest.mark.parametrize(
    ("confidence", "level"),
    [
        (0.0, RiskLevel.NONE),
        (0.449, RiskLevel.NONE),
        (0.45, RiskLevel.LOW),
        (0.65, RiskLevel.MEDIUM),
        (0.799, RiskLevel.MEDIUM),
        (0.8, RiskLevel.HIGH),
        (1.0, RiskLevel.HIGH),
    ],
)
def test_level_of_confidence_begins_at_its_threshold(confidence: float, level: RiskLevel) -> None:
    assert level_of_confidence(confidence, RiskThresholds()) == level


@pytest.mark.parametrize(
    ("code", "risk_type"),
    [
        ("red_light", RiskType.RED_LIGHT),
        ("Red-Light", RiskType.RED_LIGHT),
        (" WRONG WAY ", RiskType.WRONG_WAY),
        ("other", RiskType.OTHER),
        ("jaywalking", None),
    ],
)
def test_type_coded_forgives_spelling(code: str, risk_type: RiskType | None) -> None:
    assert type_coded(code) == risk_type


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("跟车过近", {RiskType.TAILGATING}),
        ("车距过小，车辆排队", {RiskType.TAILGATING, RiskType.CONGESTION}),
        ("following too closely", {RiskType.TAILGATING}),
        ("车辆逆行", {RiskType.WRONG_WAY}),
        ("driving the wrong way", {RiskType.WRONG_WAY}),
        ("闯红灯", {RiskType.RED_LIGHT}),
        ("a car runs the red light", {RiskType.RED_LIGHT}),
        ("行人横穿马路", {RiskType.PEDESTRIAN_CONFLICT}),
        ("pedestrian crossing in front of a car", {RiskType.PEDESTRIAN_CONFLICT}),
        ("占用应急车道", {RiskType.EMERGENCY_LANE}),
        ("危险变道", {RiskType.UNSAFE_LANE_CHANGE}),
        ("违规停车", {RiskType.ILLEGAL_STOP}),
        ("超速行驶", {RiskType.SPEEDING}),
        ("两车碰撞", {RiskType.COLLISION}),
        ("发生追尾", {RiskType.COLLISION}),
        ("存在追尾风险", {RiskType.TAILGATING}),
        ("rear-end collision risk", {RiskType.TAILGATING}),
        ("拥堵，未发生碰撞", {RiskType.CONGESTION}),
        ("无碰撞风险", set()),
        ("queue at a red light", {RiskType.CONGESTION}),
        ("红灯前排队", {RiskType.CONGESTION}),
        ("no collision or conflict", set()),
        ("turning without yielding to a pedestrian", {RiskType.PEDESTRIAN_CONFLICT}),
        ("无视红灯", {RiskType.RED_LIGHT}),
        ("正常通行", set()),
    ],
)
def test_types_named_reads_what_is_asserted(text: str, named: set[RiskType]) -> None:
    assert types_named(text) == named


@pytest.mark.parametrize("risk_type", [each for each in RiskType if each is not RiskType.OTHER])
@pytest.mark.parametrize("chinese", [True, False])
def test_name_of_a_type_names_that_type(risk_type: RiskType, chinese: bool) -> None:
    assert types_named(name_of(risk_type, chinese=chinese)) == {risk_type}


@pytest.mark.parametrize(
    ("types", "gravest"),
    [
        ({RiskType.CONGESTION, RiskType.COLLISION}, RiskType.COLLISION),
        ({RiskType.TAILGATING, RiskType.CONGESTION}, RiskType.TAILGATING),
        (set(), RiskType.OTHER),
    ],
)
def test_gravest_type_goes_before_the_others(types: set[RiskType], gravest: RiskType) -> None:
    assert gravest_type(types) == gravest


@pytest.mark.parametrize(
    ("risk_types", "description", "level"),
    [
        (("拥堵",), "车辆排队缓行", RiskLevel.LOW),
        (("跟车过近", "拥堵"), "前后车距偏小", RiskLevel.LOW),
        (("拥堵", "秩序混乱"), "车辆排队缓行", RiskLevel.MEDIUM),
        (("交通异常",), "车辆排队，有追尾风险", RiskLevel.MEDIUM),
        (("congestion",), "A queue, with a rear-end risk.", RiskLevel.LOW),
        (("short gaps", "unusual"), "Dense traffic, no collision.", RiskLevel.MEDIUM),
        (("拥堵", "人车冲突"), "行人从车流中穿过", RiskLevel.HIGH),
        (("拥堵",), "排队车辆之间有行人穿行", RiskLevel.HIGH),
        (("congestion",), "Two cars collided in the queue.", RiskLevel.HIGH),
        (("拥堵",), "一辆车逆行绕过排队车辆", RiskLevel.HIGH),
        (("跟车过近",), "尾车闯红灯", RiskLevel.HIGH),
        (("跟车过近", "超速"), "", RiskLevel.HIGH),
        (("异常",), "画面异常", RiskLevel.HIGH),
        ((), "", RiskLevel.HIGH),
    ],
)
def test_normalise_lowers_a_high_that_speaks_only_of_congestion(
    risk_types: tuple[str, ...], description: str, level: RiskLevel
) -> None:
    assert normalise(verdict(risk_types=risk_types, description=description)).level == level


def test_normalise_heeds_the_type_code() -> None:
    given_code = verdict(risk_types=("拥堵",), description="车辆排队", risk_type=RiskType.WRONG_WAY)
    assert normalise(given_code).level == RiskLevel.HIGH


WORDS = st.sampled_from(
    [*(name_of(each, chinese=c) for each in RiskType for c in (True, False)), "未发生碰撞", "x", ""]
)


@given(
    level=st.sampled_from(RiskLevel),
    risk_type=st.sampled_from(RiskType),
    risk_types=st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=3).map(tuple),
    description=st.one_of(st.lists(WORDS, max_size=4).map("，".join), st.text(max_size=60)),
)
def test_normalise_only_lowers_highs_and_is_done_once(
    level: RiskLevel, risk_type: RiskType, risk_types: tuple[str, ...], description: str
) -> None:
    before = verdict(level, risk_types=risk_types, description=description, risk_type=risk_type)
    after = normalise(before)
    assert normalise(after) == after
    assert before.level in {after.level, RiskLevel.HIGH}
    assert after.level == before.level or {risk_type} <= SOFT | {RiskType.OTHER}
    assert (after.description, after.risk_types, after.type) == (description, risk_types, risk_type)
