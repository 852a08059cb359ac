"""From a YOLO head's raw numbers to the few boxes worth keeping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Candidates:
    """N boxes as corners (N x 4, input pixels) with their scores (N) and class numbers (N)."""

    boxes: Floats
    scores: Floats
    labels: Indices

    def chosen(self, which: Indices | NDArray[np.bool_]) -> Candidates:
        """Those at these places, in this order, or those where a mask is true."""
        return Candidates(self.boxes[which], self.scores[which], self.labels[which])


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is kept: more confident than `confidence`, overlapping no better box of its class by more than `iou`."""

    confidence: float
    iou: float
    max_det: int


def read_raw_head(output: Floats, thresholds: Thresholds) -> Candidates:
    """Candidates of a head without suppression: (4 + classes) x anchors, boxes as centre, width and height."""
    scores = output[4:].max(axis=0)
    sure = np.flatnonzero(scores > thresholds.confidence)
    x, y, width, height = output[:4, sure]
    boxes = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
    return Candidates(boxes, scores[sure], output[4:, sure].argmax(axis=0))


def read_finished_head(output: Floats, thresholds: Thresholds) -> Candidates:
    """Candidates of a head that suppresses by itself: N x 6 rows of corners, score and class."""
    rows = output[output[:, 4] > thresholds.confidence]
    return Candidates(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.intp))


def suppress(candidates: Candidates, thresholds: Thresholds) -> Candidates:
    """Greedy non-maximum suppression within each class, most confident first, at most `max_det` boxes."""
    left = np.argsort(-candidates.scores, kind="stable")
    kept: list[np.intp] = []
    while left.size and len(kept) < thresholds.max_det:
        best, left = left[0], left[1:]
        kept.append(best)
        same = candidates.labels[left] == candidates.labels[best]
        left = left[~(same & (_overlaps(candidates.boxes[best], candidates.boxes[left]) > thresholds.iou))]
    return candidates.chosen(np.array(kept, dtype=np.intp))


def _overlaps(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box with each of N, length N."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    overlaps: Floats = shared / np.maximum(areas - shared, np.float32(1e-9))
    return overlaps
