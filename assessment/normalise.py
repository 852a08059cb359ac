"""The words of verdicts, in Chinese and English: which level or type they mean, and which `high` is not one. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from assessment.configuration import RiskThresholds
from assessment.risk import RiskLevel, RiskType, RiskVerdict

_LEVEL_WORDS: dict[RiskLevel, frozenset[str]] = {
    RiskLevel.NONE: frozenset(
        {"none", "no", "safe", "normal", "nil", "zero", "null", "无", "没有", "正常", "安全", "无异常"}
    ),
    RiskLevel.LOW: frozenset({"low", "slight", "minor", "mild", "verylow", "低", "轻", "轻微", "较低", "低等", "轻度"}),
    RiskLevel.MEDIUM: frozenset(
        {"medium", "moderate", "mid", "middle", "suspicious", "中", "中等", "中度", "可疑", "一般"}
    ),
    RiskLevel.HIGH: frozenset(
        {
            "high",
            "severe",
            "serious",
            "critical",
            "extreme",
            "veryhigh",
            "dangerous",
            "高",
            "严重",
            "危险",
            "极高",
            "较高",
        }
        | {"重大", "高危", "高度", "高等", "紧急"}
    ),
}
_LEVEL_OF_WORD = {word: level for level, words in _LEVEL_WORDS.items() for word in words}
_LEVEL_FILLER = re.compile(r"[\s\W_]+|risk|level|风险|危险性|等级|级别|级|程度")

_PATTERNS: dict[RiskType, str] = {
    RiskType.COLLISION: (
        r"碰撞|相撞|撞上|撞击|撞车|追尾|剐蹭|刮擦|事故|collision|collid|crash|accident|\bhit(?:s|ting)?\b|rear[\s_-]*end"
    ),
    RiskType.WRONG_WAY: r"逆行|逆向|wrong[\s_-]*way|wrong direction|against (?:the )?traffic|oncoming lane",
    RiskType.RED_LIGHT: (  # waiting at one is no danger
        r"闯红灯|闯灯|冲红灯|无视红灯|红灯.{0,3}(?:通过|越线|行驶|驶入|驶过|穿越)|违反信号|^红灯$"
        r"|(?:\brun|\bran\b|jump|ignor|through|disregard|against)[\w\s]{0,12}red\b"
        r"|red[\s_-]*light[\s_-]*(?:violat|runn|offen|jump)|^red[\s_-]*light$"
    ),
    RiskType.PEDESTRIAN_CONFLICT: (
        r"人车(?:冲突|距离|混行|争道|接近|过近)|行人.{0,10}(?:冲突|危险|过近|很近|横穿|避让|抢行)"
        r"|(?:冲突|危险|过近|避让|礼让|威胁).{0,10}行人|pedestrian[\s_-]*conflict|conflict with (?:a |the )?pedestrian"
        r"|pedestrian.{0,40}(?:danger|close|cross|path|yield|conflict)|(?:close|near|yield|danger|threat).{0,40}pedestrian"
    ),
    RiskType.EMERGENCY_LANE: r"应急车道|emergency[\s_-]*lane|hard[\s_-]*shoulder",
    RiskType.UNSAFE_LANE_CHANGE: (
        r"变道|变更车道|并线|加塞|lane[\s_-]*chang|chang\w* lanes?|cutting in|cuts? in|swerv"
    ),
    RiskType.ILLEGAL_STOP: (
        r"违停|违规停|违法停|路中停|占道停|illegal[\s_-]*(?:stop|park)|stopped (?:in|on) the (?:road|lane|carriageway)"
    ),
    RiskType.SPEEDING: r"超速|车速过快|速度过快|speeding|excessive speed|too fast",
    RiskType.TAILGATING: (
        r"跟车|车距|车间距|间距|tailgat|follow\w*[\w\s]{0,20}close|clos\w* follow|short gap|small gap"
        r"|gaps?[\w\s]{0,12}(?:short|small|close)|following distance|headway|bumper"
    ),
    RiskType.CONGESTION: (
        r"拥堵|拥挤|堵车|排队|缓行|缓慢|密集|congest|traffic jam|\bjam\b|queu|slow[\s-]*moving|dense traffic"
    ),
}
_WORDS = {risk_type: re.compile(pattern, re.IGNORECASE | re.MULTILINE) for risk_type, pattern in _PATTERNS.items()}
"""Gravest first: of several things named, the first decides the type."""

_REAR_END_RISK = re.compile(
    r"追尾[^，。；,.;]{0,4}(?:风险|隐患|可能|危险)|(?:可能|容易|易|防止)[^，。；,.;]{0,3}追尾"
    r"|rear[\s_-]*end(?:ing)?(?:[\s_-]*(?:collision|crash))?[\s_-]*(?:risk|danger|hazard)s?"
    r"|(?:risk|danger|chance) of (?:a )?rear[\s_-]*end\w*(?:[\s_-]*(?:collision|crash)\w*)?",
    re.IGNORECASE,
)
"""That somebody might drive into the one ahead: what a short gap means, not a collision."""

_GRAVE_NOUN = r"(?:collisions?|conflicts?|accidents?|crash\w*|pedestrians?|cyclists?|wrong[\s-]way|red[\s-]light)"
_DENIED = re.compile(
    r"(?:未见|未发生|未发现|未出现|没有发生|没有出现|没有发现|不存在|不构成|并无|尚无|无明显"
    r"|(?:没有|无)(?=碰撞|冲突|事故|逆行|闯红灯|行人|人车))[^，。；,.;]{0,12}"
    r"|\b(?:no|not|without|neither|nor)\s+"
    r"(?:(?:signs?|evidence|risk|any|visible|apparent|obvious|immediate|actual|of|an?|clear|direct)\s+)*"
    rf"{_GRAVE_NOUN}(?:,?\s+(?:or|and|nor)\s+{_GRAVE_NOUN})*",
    re.IGNORECASE,
)
"""Something said not to be there. Only what denies it outright: `not yielding to pedestrians` denies nothing."""

SOFT = frozenset({RiskType.CONGESTION, RiskType.TAILGATING})
"""What alone is never more than suspicious: congestion, queueing, short gaps."""

_GRAVE = re.compile(r"行人|骑行|儿童|冲突|pedestrian|cyclist|child|conflict", re.IGNORECASE)
"""Beside the types: whatever else of the kind an answer names, its `high` stays."""

_NAMES: dict[RiskType, tuple[str, str]] = {
    RiskType.TAILGATING: ("跟车过近", "following too closely"),
    RiskType.UNSAFE_LANE_CHANGE: ("危险变道", "unsafe lane change"),
    RiskType.EMERGENCY_LANE: ("占用应急车道", "driving in the emergency lane"),
    RiskType.RED_LIGHT: ("闯红灯", "running a red light"),
    RiskType.WRONG_WAY: ("逆行", "wrong way"),
    RiskType.PEDESTRIAN_CONFLICT: ("人车冲突", "conflict with a pedestrian"),
    RiskType.COLLISION: ("碰撞", "collision"),
    RiskType.ILLEGAL_STOP: ("违规停车", "illegal stop"),
    RiskType.SPEEDING: ("超速", "speeding"),
    RiskType.CONGESTION: ("拥堵", "congestion"),
    RiskType.OTHER: ("其他", "other"),
}


def level_named(word: str) -> RiskLevel | None:
    """The level that a word such as `high`, `High risk`, `高风险` means; None where it means none of them."""
    bare = unicodedata.normalize("NFKC", word).lower()
    return _LEVEL_OF_WORD.get(_LEVEL_FILLER.sub("", bare)) or _LEVEL_OF_WORD.get(bare.strip())


def level_of_confidence(confidence: float, thresholds: RiskThresholds) -> RiskLevel:
    """The level an answer without a usable one counts as."""
    if confidence >= thresholds.high:
        return RiskLevel.HIGH
    if confidence >= thresholds.medium:
        return RiskLevel.MEDIUM
    return RiskLevel.LOW if confidence >= thresholds.low else RiskLevel.NONE


def type_coded(code: str) -> RiskType | None:
    """The type whose code this is, however it is capitalised or hyphenated."""
    spelled = re.sub(r"[\s-]+", "_", code.strip().lower())
    return RiskType(spelled) if spelled in set(RiskType) else None


def types_named(text: str) -> frozenset[RiskType]:
    """Every type that `text` names and does not deny."""
    asserted = _asserted(text)
    return frozenset(risk_type for risk_type, words in _WORDS.items() if words.search(asserted))


def _asserted(text: str) -> str:
    """`text` without what it denies, and with a mere risk of driving into the one ahead called by its milder name."""
    return _DENIED.sub(" ", _REAR_END_RISK.sub(" 跟车 ", text))


def gravest_type(types: Iterable[RiskType]) -> RiskType:
    """The one that comes first in the order of gravity; `other` where there is none."""
    named = frozenset(types)
    return next((risk_type for risk_type in _WORDS if risk_type in named), RiskType.OTHER)


def name_of(risk_type: RiskType, *, chinese: bool) -> str:
    """Short words for a type, for an answer that has none of its own."""
    return _NAMES[risk_type][0 if chinese else 1]


def normalise(verdict: RiskVerdict) -> RiskVerdict:
    """A `high` that speaks only of congestion, queueing or short gaps becomes `low` where every risk type is one of
    those, else `medium`; any other verdict stays as it is."""
    if verdict.level is not RiskLevel.HIGH or not _speaks_only_of_soft(verdict):
        return verdict
    all_soft = all(types_named(word) and types_named(word) <= SOFT for word in verdict.risk_types)
    return replace(verdict, level=RiskLevel.LOW if all_soft and verdict.risk_types else RiskLevel.MEDIUM)


def _speaks_only_of_soft(verdict: RiskVerdict) -> bool:
    words = "\n".join((*verdict.risk_types, verdict.description))
    named = types_named(words) | ({verdict.type} - {RiskType.OTHER})
    return bool(named) and named <= SOFT and not _GRAVE.search(_asserted(words))
