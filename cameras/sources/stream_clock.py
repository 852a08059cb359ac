"""When pictures were taken, by their own time stamps: they come in bunches and late, but were taken evenly."""

from __future__ import annotations

_FOLLOWED_A_SECOND = 0.0005
"""How fast a camera's clock may run behind ours and still be followed: ten times what quartz does."""
_JUMP_SECONDS = 10.0
"""A delay that changes by more from one packet to the next is another time scale, not a delay."""


class StreamClock:
    """Turns time stamps of one stream into moments of our clock.

    The packet that came with the least delay is taken for having come without any. Delays are then known, however the
    packets bunch: those that were kept waiting by a busy reader are dated when they should have come.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._delay = 0.0
        self._arrived = 0.0

    def moment(self, stamp: float | None, arrived: float) -> float:
        """When the picture of this time stamp (seconds of any scale) was there to be sent; `arrived` at the latest."""
        if stamp is None:
            return arrived
        offset = self._offset
        if offset is not None:
            offset += _FOLLOWED_A_SECOND * (arrived - self._arrived)
            if abs(arrived - stamp - offset - self._delay) > _JUMP_SECONDS + arrived - self._arrived:
                offset = None
        self._offset = arrived - stamp if offset is None else min(offset, arrived - stamp)
        self._arrived = arrived
        self._delay = arrived - stamp - self._offset
        return arrived - self._delay
