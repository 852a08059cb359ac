"""What is remembered of one road user between frames, beside where it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from detection.counting import Passage
from detection.standing import Stand
from detection.zones import ZoneEntry
from trafficmon.core.geometry import Point


@dataclass(frozen=True, slots=True)
class ParkedPlace:
    """Where a vehicle is parked, and when it was last seen there."""

    stand: Stand
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """What the road user with that identity has done so far; `foot` (px) is where it was seen last."""

    track_id: int
    foot: Point
    stand: Stand
    zones: tuple[ZoneEntry, ...] = ()
    passages: tuple[Passage, ...] = ()
