"""When pictures were taken, by their own time stamps: they come in bunches and late, but were taken evenly."""

from __future__ import annotations

_WINDOW_SECONDS = 5.0
"""The least delay is that of the last one to two windows, so that a camera's clock may run slow or fast."""
_JUMP_SECONDS = 10.0
"""A delay that changes by more from one packet to the next is another time scale, not a delay."""


class StreamClock:
    """Turns time stamps of one stream into moments of our clock.

    The packet that came with the least delay is taken for having come without any. Delays are then known, however the
    packets bunch: those that were kept waiting by a busy reader are dated when they should have come.
    """

    def __init__(self) -> None:
        self._before = float("inf")
        self._least = float("inf")
        self._window_ends = float("-inf")
        self._last: tuple[float, float] | None = None

    def moment(self, stamp: float | None, arrived: float) -> float:
        """When the picture of this time stamp (seconds of any scale) was there to be sent; `arrived` at the latest."""
        if stamp is None:
            return arrived
        lag = arrived - stamp
        if self._last is None or self._has_jumped(lag, arrived):
            self._before = self._least = float("inf")
            self._window_ends = arrived + _WINDOW_SECONDS
        elif arrived > self._window_ends:
            self._before, self._least = self._least, float("inf")
            self._window_ends = arrived + _WINDOW_SECONDS
        self._least = min(self._least, lag)
        self._last = lag, arrived
        return stamp + min(self._before, self._least)

    def _has_jumped(self, lag: float, arrived: float) -> bool:
        last_lag, last_arrived = self._last or (lag, arrived)
        return abs(lag - last_lag) > _JUMP_SECONDS + arrived - last_arrived
