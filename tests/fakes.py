"""Doubles of our own parts, for tests that are not about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detection.detections import Detection
from detection.detector import Picture


class OneByOne:
    """The part of a detector that asks about several pictures one after another."""

    __slots__ = ()

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        raise NotImplementedError

    def detect_many(self, pictures: Sequence[Picture]) -> tuple[tuple[Detection, ...], ...]:
        return tuple(map(self.detect, pictures))


@dataclass(frozen=True, slots=True)
class FakeDetector(OneByOne):
    """Finds the same things in every picture."""

    found: tuple[Detection, ...]
    model: str = "fake"

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        return self.found
