"""How far the interval between frames is stretched when detection cannot keep up. Pure: time and figures are passed in.

Every camera's interval is multiplied by the same factor, so the shortage is shared evenly. The factor rises within
seconds, to what the figures say is needed, and falls by cautious steps: a step that turns out too long is taken back,
and the wait before the next one doubles, so that at a steady load it comes to rest.
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
MARGIN = 1.05
"""What is asked beyond the measured need, so that what stands in line is worked off."""
MOST_RAISE = 3.0
FIRST_RELAX, MOST_RELAX, WIDENING = 0.02, 0.1, 1.5
"""The share by which the factor falls in one step: the first, the widest, and how much wider each is than the last."""
FIRST_PATIENCE_SECONDS, MOST_PATIENCE_SECONDS = 20.0, 160.0
"""From a rise to the first step down."""


@dataclass(frozen=True, slots=True)
class Load:
    """What all cameras offered and detection took within a window.

    `given_up` were replaced by newer ones or too old; `least_wait_seconds` is how long the luckiest camera waited for
    its turn, 0 where none was taken.
    """

    offered: int = 0
    taken: int = 0
    given_up: int = 0
    least_wait_seconds: float = 0.0

    @property
    def is_too_much(self) -> bool:
        """Whether frames are given up, or stand in line."""
        return self.given_up > BORNE_SHARE * self.offered or self.least_wait_seconds > STANDING_SECONDS

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
    relax_at: float = 0.0
    """Not to be relaxed before."""
    patience_seconds: float = FIRST_PATIENCE_SECONDS
    relax_share: float = FIRST_RELAX
    probed_from: float | None = None
    """The factor from which the last step down was made; None where the last change was up."""
    troubled_since: float | None = None
    """Since when each look showed too much."""


def window_seconds(pace: Pace, interval_seconds: float) -> int:
    """Over how many seconds figures are looked at: every camera offers once in it, where that is not too long."""
    return min(max(math.ceil(pace.stretch * interval_seconds), LEAST_WINDOW_SECONDS), MOST_WINDOW_SECONDS)


def next_pace(pace: Pace, load: Load, *, now: float, interval_seconds: float) -> Pace:
    """The pace from `now` on, after `load` in the last `window_seconds`.

    `interval_seconds` is the usual unstretched interval. After a change, and after detection stood still, nothing is
    decided until every camera had time to follow and a window has passed.
    """
    window = window_seconds(pace, interval_seconds)
    if load.is_standstill:
        return replace(pace, changed_at=now, troubled_since=None)
    if load.is_too_much and _is_probing(pace, now):
        return _taken_back(pace, now)
    if now - pace.changed_at < window + pace.stretch * interval_seconds:
        return pace
    if load.is_too_much:
        return _troubled(pace, load, now, window=window)
    return _relaxed(pace, now) if _may_relax(pace, load, now) else replace(pace, troubled_since=None)


def _is_probing(pace: Pace, now: float) -> bool:
    return pace.probed_from is not None and now - pace.changed_at <= MOST_PATIENCE_SECONDS


def _may_relax(pace: Pace, load: Load, now: float) -> bool:
    return pace.stretch > 1 and load.is_calm and now >= pace.relax_at


def _troubled(pace: Pace, load: Load, now: float, *, window: int) -> Pace:
    """Raised once it has been too much for a window: what is seen in two that share no second is no hiccup."""
    since = now if pace.troubled_since is None else pace.troubled_since
    return _raised(pace, load, now) if now - since >= window else replace(pace, troubled_since=since)


def _raised(pace: Pace, load: Load, now: float) -> Pace:
    stretch = min(pace.stretch * min(MARGIN * load.excess, MOST_RAISE), CEILING)
    lately = now - pace.changed_at <= MOST_PATIENCE_SECONDS
    patience = pace.patience_seconds if lately else FIRST_PATIENCE_SECONDS
    return Pace(stretch, changed_at=now, relax_at=now + patience, patience_seconds=patience)


def _taken_back(pace: Pace, now: float) -> Pace:
    patience = min(2 * pace.patience_seconds, MOST_PATIENCE_SECONDS)
    stretch = min(MARGIN * (pace.probed_from or pace.stretch), CEILING)
    return Pace(stretch, changed_at=now, relax_at=now + patience, patience_seconds=patience)


def _relaxed(pace: Pace, now: float) -> Pace:
    stretch = pace.stretch * (1 - pace.relax_share)
    return replace(
        pace,
        stretch=stretch if stretch > 1 + FIRST_RELAX else 1.0,
        changed_at=now,
        relax_share=min(WIDENING * pace.relax_share, MOST_RELAX),
        probed_from=pace.stretch,
        troubled_since=None,
    )
