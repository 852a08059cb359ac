"""The model's words become verdicts. Forgiving of form, never of substance: what cannot be read is a failure, never a
verdict without risk. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import json_repair

from assessment.clients.failures import UnreadableAnswer
from assessment.configuration import RiskThresholds
from assessment.normalise import (
    gravest_type,
    level_named,
    level_of_confidence,
    name_of,
    normalise,
    type_coded,
    types_named,
)
from assessment.reading import confidence_of, ids_of, number_of, phrases_of, truth_of, whole_of, words_of
from assessment.risk import RiskLevel, RiskType, RiskVerdict, highest

MAX_CHARACTERS = 6_000
"""Of an answer that are read: more than the model may write; repairing takes quadratic time on nonsense."""

MAX_RESULTS = 50
MAX_RISK_TYPES = 3
MAX_TRIGGERS = 50
MAX_DESCRIPTION = 1000
MAX_PHRASE = 40

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_FULL_WIDTH = (
    (re.compile(r"[“”](?=\s*[:：,，}\]])|(?<=[{\[,，:：])(\s*)[“”]"), r'\1"'),
    (re.compile(r"([\"'])\s*：\s*"), r"\1: "),
    (re.compile(r"([\"'\d}\]el])\s*，\s*(?=[\"'{\[\d])"), r"\1, "),
)
"""Full-width quotes, colons and commas where JSON has its own; inside a text they stay."""

_RESULT_KEYS = ("results", "dangerousdrivingresults", "result", "groups", "assessments", "data", "answer", "output")
_VERDICT_KEYS = frozenset({"risklevel", "level", "confidence"})
_ANSWER_KEYS = _VERDICT_KEYS | {"maxrisklevel", "hasdangerousdriving"}


@dataclass(frozen=True, slots=True)
class _Whole:
    """What an answer says of all its results together."""

    has_danger: bool | None
    level: RiskLevel | None


Fields = Mapping[str, Any]


def parse_answer(text: str, *, asked: frozenset[int], thresholds: RiskThresholds) -> tuple[RiskVerdict, ...]:
    """One verdict for each of the `asked` group indices that the answer speaks of, at least one, normalised.

    Raises UnreadableAnswer where nothing can be made of it. An asked index without a verdict was not answered.
    """
    answer = _answer_fields(_loaded(text[:MAX_CHARACTERS]))
    whole = _Whole(
        has_danger=truth_of(answer.get("hasdangerousdriving")),
        level=level_named(words_of(answer.get("maxrisklevel"), MAX_PHRASE)),
    )
    results = list(_results(answer))[:MAX_RESULTS]
    if not results and (whole.level or whole.has_danger is False):
        results = [{}]
    verdicts = [_verdict(each, whole, thresholds, alone=len(results) == 1) for each in results]
    answered = _assigned(
        [(number_of(_index(each)), verdict) for each, verdict in zip(results, verdicts, strict=True)], asked
    )
    if not answered:
        raise UnreadableAnswer("The answer names no risk level, and no confidence to derive one from.")
    return answered


def _loaded(text: str) -> Any:
    """The JSON value in `text`, strictly where possible, else repaired; raises UnreadableAnswer."""
    bare = _THOUGHTS.sub("", text).strip().lstrip("\ufeff")
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        pass
    for pattern, replacement in _FULL_WIDTH:
        bare = pattern.sub(replacement, bare)
    try:
        return json_repair.loads(bare)
    except (ValueError, RecursionError, AssertionError):  # the library asserts on a fence within a text
        raise UnreadableAnswer("The answer is not JSON, nor can it be repaired into any.") from None


def _answer_fields(value: Any, depth: int = 0) -> dict[str, Any]:
    """The object that is the answer, with plain keys; a list is its results, a text may hold it once more."""
    if isinstance(value, str) and "{" in value and depth < 2:
        return _answer_fields(_loaded(value[:MAX_CHARACTERS]), depth + 1)
    if isinstance(value, list):
        return _answer_in_list([each for each in value[:MAX_RESULTS] if isinstance(each, dict)])
    if isinstance(value, dict):
        return _plain_keys(value)
    raise UnreadableAnswer("The answer holds no JSON object.")


def _answer_in_list(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several objects the last that is a whole answer (drafts come first), else all as results."""
    plain = [_plain_keys(each) for each in objects]
    whole = [each for each in plain if "results" in each or "maxrisklevel" in each]
    if whole:
        return whole[-1]
    if plain:
        return {"results": plain}
    raise UnreadableAnswer("The answer holds no JSON object.")


def _plain_keys(fields: Mapping[Any, Any]) -> dict[str, Any]:
    """Keys without case, spaces, dashes and underscores: `risk_level`, `Risk Level` and `riskLevel` are one."""
    return {re.sub(r"[\s_\-]+", "", str(key)).lower(): value for key, value in fields.items()}


def _results(answer: Fields) -> Iterator[Fields]:
    """The objects that judge a group each, wherever the answer keeps them."""
    candidates = (_held(answer.get(key)) for key in _RESULT_KEYS)
    held = next((each for each in candidates if each is not None), None)
    if isinstance(held, dict):
        yield from _results_in_object(held)
    elif isinstance(held, list):
        yield from (_plain_keys(each) for each in held if isinstance(each, dict))
    elif _VERDICT_KEYS & answer.keys():
        yield answer


def _held(value: Any) -> dict[Any, Any] | list[Any] | None:
    """What can hold results: an object or a list that is not empty, or either as text; None for anything else."""
    if isinstance(value, str) and "{" in value:
        value = _loaded(value)
    if value == []:
        return None
    return value if isinstance(value, dict | list) else None


def _results_in_object(held: Mapping[Any, Any]) -> Iterator[Fields]:
    """One result, a whole answer wrapped once more, or results keyed by their group."""
    fields = _plain_keys(held)
    if "results" in fields:
        yield from _results(fields)
    elif _ANSWER_KEYS & fields.keys():
        yield fields
    else:
        yield from ({"groupindex": key, **_plain_keys(each)} for key, each in held.items() if isinstance(each, dict))


def _index(fields: Fields) -> object:
    return next((fields[key] for key in ("groupindex", "groupid", "group", "index") if key in fields), None)


def _verdict(fields: Fields, whole: _Whole, thresholds: RiskThresholds, *, alone: bool) -> RiskVerdict | None:
    """The verdict in a result, or None where it says nothing of risk; its group index is not yet known."""
    confidence = confidence_of(fields.get("confidence", fields.get("alertconfidence")))
    level = _level(fields, whole, thresholds, confidence=confidence, alone=alone)
    if level is None:
        return None
    description = words_of(fields.get("description", fields.get("alertdescription")), MAX_DESCRIPTION)
    phrases = phrases_of(fields.get("risktypes"), most=MAX_RISK_TYPES, limit=MAX_PHRASE)
    risk_type = _type(words_of(fields.get("type"), MAX_PHRASE), phrases, description, level)
    triggers = ids_of(fields.get("triggerobjectids"), most=MAX_TRIGGERS)
    count = whole_of(fields.get("dangerobjectcount"))
    return normalise(
        RiskVerdict(
            group_index=0,
            level=level,
            type=risk_type,
            description=description,
            confidence=confidence or 0.0,
            risk_types=phrases or (_fallback_phrase(risk_type, level, description),),
            danger_object_count=min(count if count is not None else len(triggers), 1000),
            trigger_object_ids=triggers,
        )
    )


def _level(
    fields: Fields, whole: _Whole, thresholds: RiskThresholds, *, confidence: float | None, alone: bool
) -> RiskLevel | None:
    """The level a result states; else the one its confidence means; else, for the only result, the whole answer's.

    Where the parts of an answer contradict one another the graver stands: an answer that says it has danger is at
    least `low`, and its only result at least its `maxRiskLevel`. A level that is only derived is a guess: it is not
    raised, and an answer that says it has no danger is then no more than `low`.
    """
    stated = level_named(words_of(fields.get("risklevel", fields.get("level")), MAX_PHRASE))
    if stated is None and confidence is not None:
        derived = level_of_confidence(confidence, thresholds)
        return _milder(derived, RiskLevel.LOW) if whole.has_danger is False else derived
    return _level_of_only_result(stated, whole) if alone else stated


def _milder(one: RiskLevel, other: RiskLevel) -> RiskLevel:
    return min(one, other, key=lambda level: level.severity)


def _level_of_only_result(stated: RiskLevel | None, whole: _Whole) -> RiskLevel | None:
    """The graver of what the result states and what the whole answer says; None where neither says anything."""
    if stated is None and whole.level is None:
        return RiskLevel.NONE if whole.has_danger is False else None
    at_least = RiskLevel.LOW if whole.has_danger else RiskLevel.NONE
    return highest(level for level in (stated, whole.level, at_least) if level)


def _type(code: str, phrases: tuple[str, ...], description: str, level: RiskLevel) -> RiskType:
    """The closed code: as given, else from the words for people, else from the description of a risk."""
    coded = type_coded(code)
    if coded and coded is not RiskType.OTHER:
        return coded
    named = types_named(code) or types_named("\n".join(phrases))
    if not named and level is not RiskLevel.NONE:
        named = types_named(description)
    return gravest_type(named)


def _fallback_phrase(risk_type: RiskType, level: RiskLevel, description: str) -> str:
    chinese = any("\u4e00" <= character <= "\u9fff" for character in description)
    if level is RiskLevel.NONE:
        return "正常通行" if chinese else "normal traffic"
    return name_of(risk_type, chinese=chinese)


def _assigned(
    found: Iterable[tuple[float | None, RiskVerdict | None]], asked: frozenset[int]
) -> tuple[RiskVerdict, ...]:
    """Verdicts under the indices they were asked for, the graver of two for one index, in the order of the indices."""
    readable = [(index, verdict) for index, verdict in found if verdict is not None]
    by_index: dict[int, RiskVerdict] = {}
    for index, verdict in readable:
        if index is not None and index in asked:
            _keep_graver(by_index, int(index), verdict)
    strays = [verdict for index, verdict in readable if index not in asked]
    _place_strays(by_index, strays, asked)
    return tuple(by_index[index] for index in sorted(by_index))


def _place_strays(by_index: dict[int, RiskVerdict], strays: list[RiskVerdict], asked: frozenset[int]) -> None:
    """Verdicts without a right index go, in order, to the indices left over where there are as many.

    Where one index was asked, the gravest of them is its verdict. Elsewhere whose they are is unknown, and they are
    left out.
    """
    left_over = sorted(asked - by_index.keys())
    if len(asked) == 1:
        strays = sorted(strays, key=lambda verdict: -verdict.level.severity)[:1]
    if len(strays) == len(left_over):
        for index, verdict in zip(left_over, strays, strict=True):
            _keep_graver(by_index, index, verdict)


def _keep_graver(by_index: dict[int, RiskVerdict], index: int, verdict: RiskVerdict) -> None:
    kept = by_index.get(index)
    if kept is None or verdict.level.severity > kept.level.severity:
        by_index[index] = replace(verdict, group_index=index)
