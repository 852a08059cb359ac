"""How well identities hold: the usual measures of multi-object tracking, and what an operator is shown.

The measures are those of the library `trackers`. They compare frame by frame what has an identity with the truth, so
that an identity withheld counts as a road user missed. The two shares below say what is withheld and what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trackers.eval import (
    aggregate_clear_metrics,
    aggregate_hota_metrics,
    aggregate_identity_metrics,
    box_iou,
    compute_clear_metrics,
    compute_hota_metrics,
    compute_identity_metrics,
)

from cameras.street import TrueObject
from detection.assignment import assign
from detection.detections import Detection
from tests.load.street_moments import counts

SAME_OBJECT = 0.5
"""Overlap from which a detection is the object."""
MOVING_METRES_PER_SECOND = 1.0

Frame = tuple[Sequence[TrueObject], Sequence[Detection]]
"""The truth of a moment and what was shown of it."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One road user that counts and was detected: which it is, whether it moves, and the identity shown."""

    number: int
    moves: bool
    identity: int | None


@dataclass(slots=True)
class Tally:
    """Counts over all sequences."""

    clear: list[dict[str, Any]] = field(default_factory=list)
    hota: list[dict[str, Any]] = field(default_factory=list)
    identity: list[dict[str, Any]] = field(default_factory=list)
    objects: int = 0
    named: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    seen: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    continued: int = 0
    continued_wrongly: int = 0

    def add(self, frames: Sequence[Frame]) -> None:
        """Count one sequence: the frames of one camera, oldest first."""
        numbers, identities, overlaps = zip(*map(_arrays, frames), strict=True)
        told = (list(numbers), list(identities), list(overlaps))
        self.clear.append(compute_clear_metrics(*told))
        self.hota.append(compute_hota_metrics(*told))
        self.identity.append(compute_identity_metrics(*told))
        self.objects += sum(map(len, numbers))
        self._count_sightings([list(_sightings(truth, shown)) for truth, shown in frames])

    def _count_sightings(self, frames: Sequence[Sequence[Sighting]]) -> None:
        last_shown: dict[int, int] = {}
        for each in (sighting for frame in frames for sighting in frame):
            self.seen[each.moves] += 1
            if each.identity is None:
                continue
            self.named[each.moves] += 1
            before = last_shown.get(each.identity)
            if before is not None:
                self.continued += 1
                self.continued_wrongly += before != each.number
            last_shown[each.identity] = each.number

    def row(self) -> dict[str, float]:
        clear, hota = aggregate_clear_metrics(self.clear), aggregate_hota_metrics(self.hota)
        identity = aggregate_identity_metrics(self.identity)
        return {
            "objects": self.objects,
            "switches": clear["IDSW"],
            "idf1": round(identity["IDF1"], 3),
            "idp": round(identity["IDP"], 3),
            "hota": round(hota["HOTA"], 3),
            "mota": round(clear["MOTA"], 3),
            "named": _share(sum(self.named.values()), sum(self.seen.values())),
            "named_moving": _share(self.named[True], self.seen[True]),
            "continued": self.continued,
            "continued_wrongly": self.continued_wrongly,
        }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 0.0


def _arrays(frame: Frame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Numbers of the true objects that count, identities shown, and their overlaps (rows x columns).

    As in the MOT challenge, what was found of objects that do not count is neither right nor wrong.
    """
    truth, shown = frame
    partners = dict(pairs(truth, shown))
    named = [
        (each.track_id, each.box)
        for place, each in enumerate(shown)
        if each.track_id is not None and (place not in partners or counts(truth[partners[place]]))
    ]
    counted = [each for each in truth if counts(each)]
    overlaps = box_iou(_corners([each.box for each in counted]), _corners([box for _, box in named]))
    return (
        np.array([each.track_id for each in counted], dtype=np.int64),
        np.array([identity for identity, _ in named], dtype=np.int64),
        np.asarray(overlaps, dtype=np.float64),
    )


def _sightings(truth: Sequence[TrueObject], shown: Sequence[Detection]) -> Iterator[Sighting]:
    for place, partner in pairs(truth, shown):
        each = truth[partner]
        if counts(each):
            moves = math.hypot(*each.velocity) >= MOVING_METRES_PER_SECOND
            yield Sighting(each.track_id, moves, shown[place].track_id)


def pairs(truth: Sequence[TrueObject], shown: Sequence[Detection]) -> list[tuple[int, int]]:
    """Places in `shown` and in `truth` that are the same object."""
    overlaps = box_iou(_corners([each.box for each in shown]), _corners([each.box for each in truth]))
    return assign(np.where(overlaps >= SAME_OBJECT, overlaps, 0.0))


def _corners(boxes: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([each.as_tuple() for each in boxes], dtype=np.float64).reshape(-1, 4)
