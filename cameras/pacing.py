"""How far the interval between frames is stretched when detection cannot keep up. Pure: time and figures are passed in.

Every camera's interval is multiplied by the same factor, so the shortage is shared evenly. Its law:

- While frames are given up, detection is at its limit, and offered / taken is what is wanting: the factor is multiplied
  by it. The first time only half way (by the root), since opening many cameras slows detection for some seconds; where
  that was not enough, all the way once every camera follows it.
- Where cameras go, the factor falls in their share.
- That detection has more room than is used cannot be seen, only tried: the factor falls by steps, each wider than the
  last, until one is too long. That one is taken back; the next try comes later each time, and by smaller steps.
- After each change, but to take a step back, nothing is decided until all cameras follow and have offered once since.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

CEILING = 10.0
"""Beyond it pictures would be too rare to be of use; what is too much even then is given up, and counted."""
LEAST_WINDOW_SECONDS = 4
MOST_WINDOW_SECONDS = 20
BORNE_SHARE = 0.01
"""Of the frames offered may be given up without anybody speaking of overload."""
STANDING_SECONDS = 0.3
"""When even the luckiest frame of a window waits so long, work stands in line that is never worked off."""
MARGIN = 1.1
"""What is asked beyond the measured need, so that what stands in line is worked off."""
LEAST_FALL = 0.85
"""So few of the cameras must be left before the factor falls with them; a pause of some is no fall."""
LATELY_SECONDS = 60.0
"""What is too much so soon after a change is no hiccup: the change was wrong."""
LARGE_RAISE = 1.2
FIRST_STEP, MOST_STEP, WIDENING = 0.1, 0.2, 1.5
"""The share by which the factor falls in one step: the first, the widest, and how much wider each is than the last."""
FIRST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS = 20.0, 160.0
"""From a step that was taken back to the next try; the longest is for a load that stays as it is."""


@dataclass(frozen=True, slots=True)
class Load:
    """What all cameras offered and detection took within a window.

    `given_up` were replaced by newer ones or too old; `least_wait_seconds` is how long the luckiest camera waited for
    its turn, 0 where none was taken. `cameras` are those that offered within the `roll_call_seconds` of their own
    interval.
    """

    offered: int = 0
    taken: int = 0
    given_up: int = 0
    least_wait_seconds: float = 0.0
    cameras: int = 0

    @property
    def gives_up(self) -> bool:
        """Whether more frames are given up than a hiccup costs."""
        return self.given_up > BORNE_SHARE * self.offered

    @property
    def is_too_much(self) -> bool:
        """Whether frames are given up, or stand in line."""
        return self.gives_up or self.least_wait_seconds > STANDING_SECONDS

    @property
    def is_standstill(self) -> bool:
        """Whether frames are given up and none is taken: nobody detects."""
        return self.given_up > 0 and self.taken == 0

    @property
    def is_calm(self) -> bool:
        """Whether nothing is given up and nothing stands in line."""
        return self.given_up == 0 and self.least_wait_seconds <= STANDING_SECONDS / 3

    @property
    def excess(self) -> float:
        """How many times more is offered than detection gets to see: the lesser of two estimates, 1 at least."""
        seen = max(self.offered - self.given_up, self.taken, 1)
        return max(self.offered / seen, 1.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """The factor in force, and what led to it; moments in seconds of one clock."""

    stretch: float = 1.0
    changed_at: float = 0.0
    settled_at: float = 0.0
    """From then on the figures are of this factor alone."""
    try_at: float = 0.0
    """Not to be relaxed before."""
    patience_seconds: float = FIRST_PATIENCE_SECONDS
    step: float = FIRST_STEP
    tried_from: float | None = None
    """The factor from which the last step down was made; None where the last change was another."""
    cameras: int = 0
    """How many offered frames when the factor was found."""
    troubled_since: float | None = None
    """Since when each look showed too much."""


def window_seconds(pace: Pace, interval_seconds: float) -> int:
    """Over how many seconds figures are looked at: every camera offers once in it, where that is not too long."""
    return min(max(math.ceil(pace.stretch * interval_seconds), LEAST_WINDOW_SECONDS), MOST_WINDOW_SECONDS)


def roll_call_seconds(pace: Pace, interval_seconds: float) -> int:
    """Within how many seconds a camera of this interval offers, also one that waits for its next key frame."""
    return math.ceil(1.2 * pace.stretch * interval_seconds) + 1


def next_pace(pace: Pace, load: Load, *, now: float, interval_seconds: float) -> Pace:
    """The pace from `now` on, after `load` in the last `window_seconds`; `interval_seconds` is the unstretched one."""
    follow, window = pace.stretch * interval_seconds, window_seconds(pace, interval_seconds)
    if load.is_standstill:
        return replace(pace, settled_at=now + follow + window, troubled_since=None)
    decided = _decided(pace, load, now, window=window)
    if decided.stretch == pace.stretch:
        return decided
    # Near the limit what a step does is only seen after a while: more and more stands in line.
    windows = 2 if decided.tried_from and decided.patience_seconds > FIRST_PATIENCE_SECONDS else 1
    settled_at = now + follow + windows * window_seconds(decided, interval_seconds)
    return replace(decided, changed_at=now, settled_at=settled_at)


def _decided(pace: Pace, load: Load, now: float, *, window: int) -> Pace:
    if load.is_too_much and _is_trying(pace, now):
        return _taken_back(pace, now)
    if now < pace.settled_at:
        return pace
    if pace.stretch > 1 and load.cameras < LEAST_FALL * pace.cameras:
        return _fallen(pace, load.cameras)
    if load.is_too_much:
        return _troubled(pace, load, now, window=window)
    return _relaxed(pace, load) if _may_relax(pace, load, now) else replace(pace, troubled_since=None)


def _is_trying(pace: Pace, now: float) -> bool:
    return pace.tried_from is not None and now - pace.changed_at <= LATELY_SECONDS


def _may_relax(pace: Pace, load: Load, now: float) -> bool:
    return pace.stretch > 1 and load.is_calm and now >= pace.try_at


def _fallen(pace: Pace, cameras: int) -> Pace:
    """In the share of the cameras that are left."""
    stretch = max(pace.stretch * cameras / pace.cameras, 1.0)
    return Pace(stretch, step=FIRST_STEP / 2, cameras=cameras)


def _troubled(pace: Pace, load: Load, now: float, *, window: int) -> Pace:
    """Raised at once where a raise was too little, else when it was too much for a window: a hiccup is shorter."""
    if pace.stretch == CEILING:
        return pace
    if pace.stretch > 1 and now - pace.changed_at <= LATELY_SECONDS:
        # What stands in line from before is still worked off.
        return _raised(pace, load, MARGIN * load.excess, now) if load.gives_up else pace
    since = now if pace.troubled_since is None else pace.troubled_since
    if now - since < window:
        return replace(pace, troubled_since=since)
    return _raised(pace, load, math.sqrt(MARGIN * load.excess), now)


def _raised(pace: Pace, load: Load, factor: float, now: float) -> Pace:
    """A large raise is another load, of which nothing is known; after a small one what was learnt still holds."""
    stretch = min(pace.stretch * factor, CEILING)
    if factor > LARGE_RAISE:
        return Pace(stretch, cameras=load.cameras)
    patience = pace.patience_seconds
    return Pace(stretch, try_at=now + patience, patience_seconds=patience, step=FIRST_STEP / 2, cameras=load.cameras)


def _taken_back(pace: Pace, now: float) -> Pace:
    """The limit is near: the next try comes later, and by smaller steps."""
    return Pace(
        pace.tried_from or pace.stretch,
        try_at=now + pace.patience_seconds,
        patience_seconds=min(2 * pace.patience_seconds, MOST_PATIENCE_SECONDS),
        step=FIRST_STEP / 2,
        cameras=pace.cameras,
    )


def _relaxed(pace: Pace, load: Load) -> Pace:
    stretch = pace.stretch * (1 - pace.step)
    if stretch < 1 + FIRST_STEP / 2:
        stretch = 1.0
    return replace(
        pace,
        stretch=stretch,
        step=min(WIDENING * pace.step, MOST_STEP),
        tried_from=pace.stretch,
        cameras=load.cameras,
        troubled_since=None,
    )
