"""Pictures for the report: of each part of the recording the most telling frame, whatever its length."""

from __future__ import annotations

from collections.abc import Callable

MOST_PICTURES = 18

Rank = Callable[[int], tuple[int, int] | None]
"""How telling a frame is, by its number: its severity, then how much it shows; None while that is not known."""


class Album:
    """Keeps at most one picture for each of as many parts of the recording, and those still unanswered."""

    def __init__(self, *, duration_seconds: float, most: int = MOST_PICTURES) -> None:
        self._part_seconds = max(duration_seconds, 1.0) / most
        self._most = most
        self._kept: dict[int, tuple[int, bytes]] = {}

    def add(self, number: int, seconds: float, jpeg: bytes) -> None:
        """Keep the picture of frame `number` for now."""
        self._kept[number] = int(seconds / self._part_seconds), jpeg

    def thin(self, rank: Rank) -> None:
        """Drop all but the best frame of each part, and the least of those beyond the limit; the unranked stay."""
        ranks = {number: rank(number) for number in self._kept}
        ranked = [(place, -number) for number, place in ranks.items() if place is not None]
        best: dict[int, int] = {}
        for _place, negated in sorted(ranked, reverse=True):
            best.setdefault(self._kept[-negated][0], -negated)
        chosen = {number for number, place in ranks.items() if place is None} | set([*best.values()][: self._most])
        self._kept = {number: kept for number, kept in self._kept.items() if number in chosen}

    def pictures(self) -> dict[int, bytes]:
        """The kept pictures by the number of their frame, in its order."""
        return {number: jpeg for number, (_part, jpeg) in sorted(self._kept.items())}
