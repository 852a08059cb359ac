"""People on foot: they stroll along footways, wait at crossings and cross on green."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cameras.street.layout import Footway, SignalPlan
from cameras.street.paths import Path

WALK_SIGNAL = "walk"
_CROSSING_HASTE = 1.25


@dataclass(slots=True, eq=False)
class Walker:
    """`metres` along footway number `footway`; waits `wait_short` metres before the kerb."""

    number: int
    footway: int
    speed: float
    offset: float
    wait_short: float
    reaction: float
    look: int
    metres: float = 0.0
    moving: float = 0.0
    ignores_signal: bool = False


class Walkers:
    """Everybody on foot. `step` moves them by `seconds`."""

    def __init__(self, footways: Iterable[Footway], plan: SignalPlan) -> None:
        self.footways = tuple(footways)
        self.paths = tuple(Path(footway.points) for footway in self.footways)
        self.plan = plan
        self.walkers: list[Walker] = []

    def step(self, now: float, seconds: float) -> None:
        """Who has come to the end of the footway is gone."""
        for walker in self.walkers:
            walker.moving = self._speed(walker, now)
            walker.metres += walker.moving * seconds
        self.walkers = [one for one in self.walkers if one.metres < self.paths[one.footway].length]

    def is_crossing(self, walker: Walker) -> bool:
        """Whether `walker` is on the roadway."""
        crossing = self.footways[walker.footway].crossing
        if crossing is None:
            return False
        path = self.paths[walker.footway]
        return path.start_of(crossing) < walker.metres < path.start_of(crossing + 1)

    def _speed(self, walker: Walker, now: float) -> float:
        crossing = self.footways[walker.footway].crossing
        if crossing is None or walker.ignores_signal:
            return walker.speed
        kerb = self.paths[walker.footway].start_of(crossing)
        if self.is_crossing(walker):
            return walker.speed * _CROSSING_HASTE
        at_kerb = kerb - walker.wait_short <= walker.metres <= kerb
        return 0.0 if at_kerb and not self._may_start(walker, now) else walker.speed

    def _may_start(self, walker: Walker, now: float) -> bool:
        left = self.plan.green_left(WALK_SIGNAL, now)
        start, end = self.plan.green[WALK_SIGNAL]
        return left > 0 and (end - start) - left >= walker.reaction
