"""Average precision, as the COCO detection task defines it, at an overlap of 0.5.

Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and the task's published evaluation rules: detections are
taken by falling confidence, each matches the free object of its class that it overlaps most, what lies on an object
that need not be found counts neither way, and precision is read at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trafficmon.core.geometry import Box, intersection_over_union
from trafficmon.core.objects import ObjectClass

OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """One detection; `box` in pixels."""

    object_class: ObjectClass
    confidence: float
    box: Box


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object; when it is not `required`, finding it and missing it are both right."""

    object_class: ObjectClass
    box: Box
    required: bool


Picture = tuple[Sequence[Found], Sequence[Wanted]]
Judged = tuple[float, bool]
"""The confidence of a detection and whether it was right."""


def average_precisions(pictures: Iterable[Picture]) -> dict[ObjectClass, float]:
    """Average precision (0 to 1) of every class that some picture requires."""
    judged: dict[ObjectClass, list[Judged]] = {one: [] for one in ObjectClass}
    required = dict.fromkeys(ObjectClass, 0)
    for found, wanted in pictures:
        for object_class in ObjectClass:
            of_class = [one for one in wanted if one.object_class is object_class]
            required[object_class] += sum(one.required for one in of_class)
            judged[object_class] += judge([one for one in found if one.object_class is object_class], of_class)
    return {one: average_precision(judged[one], count) for one, count in required.items() if count}


def judge(found: Sequence[Found], wanted: Sequence[Wanted]) -> list[Judged]:
    """Each detection of one class in one picture, but for those on objects that need not be found."""
    free = [one for one in wanted if one.required]
    optional = [one.box for one in wanted if not one.required]
    judged = []
    for detection in sorted(found, key=lambda one: -one.confidence):
        best = _best_match(detection.box, free)
        if best:
            free.remove(best)
            judged.append((detection.confidence, True))
        elif all(intersection_over_union(detection.box, box) < OVERLAP for box in optional):
            judged.append((detection.confidence, False))
    return judged


def _best_match(box: Box, wanted: Sequence[Wanted]) -> Wanted | None:
    """The one that `box` overlaps most, where that is enough."""
    best = max(wanted, key=lambda one: intersection_over_union(box, one.box), default=None)
    return best if best and intersection_over_union(box, best.box) >= OVERLAP else None


def average_precision(judged: Iterable[Judged], required: int) -> float:
    """The mean over 101 recalls of the best precision at that recall or beyond; `required` is at least 1."""
    right = np.array([one[1] for one in sorted(judged, key=lambda one: -one[0])], dtype=np.float64)
    if not len(right):
        return 0.0
    hits = np.cumsum(right)
    recall = hits / required
    precision = hits / np.arange(1, len(right) + 1)
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.mean([best_beyond[place] if place < len(best_beyond) else 0.0 for place in places]))
