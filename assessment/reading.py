"""Values as models really write them: numbers as text, lists as text, full-width marks. Pure."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator

_SEPARATORS = re.compile(r"[,，、;；|\n]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

MAX_NUMBER_CHARACTERS = 40
MAX_ID = 2**31 - 1


def clean(text: str, limit: int) -> str:
    """`text` without what a database or a page cannot hold, in at most `limit` characters."""
    return _CONTROL.sub("", text).strip()[:limit].strip()


def words_of(value: object, limit: int) -> str:
    """The text of a value that should be one: itself, a number's, or a list's joined."""
    if isinstance(value, str):
        return clean(value, limit)
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return clean(_plain(value), limit)
    if isinstance(value, list):
        parts = (words_of(each, limit) for each in value[:20])
        return clean(" ".join(part for part in parts if part), limit)
    return ""


def _plain(value: float) -> str:
    if not -MAX_ID <= value <= MAX_ID:  # so too for NaN
        return ""
    return str(int(value)) if value == int(value) else f"{value:.6g}"


def number_of(value: object) -> float | None:
    """A finite number, from a number or the first one in a short text; None where there is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _finite(value)
    if not isinstance(value, str):
        return None
    found = _NUMBER.search(unicodedata.normalize("NFKC", value[:MAX_NUMBER_CHARACTERS]))
    return _finite(float(found.group())) if found else None


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def confidence_of(value: object) -> float | None:
    """A share from 0 to 1, given as one, as a percentage, or as text of either; None where there is none."""
    number = number_of(value)
    if number is None:
        return None
    percent = number > 1 or (isinstance(value, str) and "%" in unicodedata.normalize("NFKC", value[:60]))
    return min(max(number / 100 if percent else number, 0.0), 1.0)


def whole_of(value: object) -> int | None:
    """A whole number from 0 to MAX_ID, or None."""
    number = number_of(value)
    return int(number) if number is not None and 0 <= number <= MAX_ID else None


def truth_of(value: object) -> bool | None:
    """Yes or no in the spellings models use; None where it is neither."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()[:10]
    if word in {"true", "yes", "1", "是", "有"}:
        return True
    return False if word in {"false", "no", "0", "否", "无", "没有"} else None


def phrases_of(value: object, *, most: int, limit: int) -> tuple[str, ...]:
    """Up to `most` different short phrases, from a list or from text with separators of either width."""
    found = dict.fromkeys(clean(part, limit) for part in _split(value, 0))
    return tuple(phrase for phrase in found if phrase)[:most]


def ids_of(value: object, *, most: int) -> tuple[int, ...]:
    """Up to `most` different ids, from a list of numbers, texts or objects with an id, or from text."""
    found = dict.fromkeys(whole_of(part) for part in _split(value, 0))
    return tuple(each for each in found if each is not None)[:most]


def _split(value: object, depth: int) -> Iterator[str]:
    """The texts and numbers in a value as text, from lists and objects up to three deep."""
    if isinstance(value, str):
        yield from (part.strip(" []()'\"“”") for part in _SEPARATORS.split(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield _plain(value)
    elif depth < 3:
        for part in _parts(value):
            yield from _split(part, depth + 1)


def _parts(value: object) -> list[object]:
    """The elements of a list; of an object only what names it."""
    if isinstance(value, list):
        return value[:100]
    if isinstance(value, dict):
        return [value[key] for key in ("id", "name", "type") if key in value][:1]
    return []
