"""The synthetic street as a camera: it goes on by the wall clock, and only the sampled moments are drawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import cast

import cv2

from cameras.addresses import StreetAddress
from cameras.sampling import EARLIER_WIDTH_PX, Burst, Picture, Schedule, offsets_of_burst
from cameras.sources.streams import Figures, Format, Terms
from cameras.street import Street
from trafficmon.core.clock import utc_now

WIDTH_PX, HEIGHT_PX = 1280, 720


class StreetStream:
    """A street that begins when it is opened."""

    def __init__(self, address: StreetAddress, terms: Terms) -> None:
        self._street = Street(address.scene, seed=address.seed, width=WIDTH_PX, height=HEIGHT_PX)
        self._fps = address.fps
        self._schedule = Schedule(terms.interval_seconds)
        self._offsets = offsets_of_burst(terms.sampling, terms.interval_seconds)
        self._began = time.monotonic()
        self.format = Format("drawn", address.fps)

    def bursts(self, stop: threading.Event) -> Iterator[Burst]:
        offsets = self._offsets[:1]
        while not stop.wait(max(0, self._schedule.due - self._seconds())):
            self._schedule.advance(self._seconds())
            drawn = list(self._pictures(offsets, stop))
            if stop.is_set():
                return
            offsets = self._offsets
            moments, pictures = zip(*drawn, strict=True)
            yield Burst(pictures, moments)

    def _pictures(self, offsets: tuple[float, ...], stop: threading.Event) -> Iterator[tuple[datetime, Picture]]:
        start = self._seconds()
        for offset in offsets:
            if stop.wait(max(0, start + offset - self._seconds())):
                return
            self._street.advance_to(int(self._seconds() * self._fps) / self._fps)
            captured_at, picture = utc_now(), self._street.render()
            yield captured_at, picture if offset == offsets[-1] else _small(picture)

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def hold(self, seconds: float) -> None:
        self._schedule.hold(self._seconds() + seconds)

    def change_interval(self, interval_seconds: float) -> None:
        self._schedule.change_interval(interval_seconds)

    def figures(self) -> Figures:
        return Figures()

    def close(self) -> None:
        """Nothing is held."""


def _small(picture: Picture) -> Picture:
    """As a camera's earlier pictures are kept, which only show how things move."""
    size = (EARLIER_WIDTH_PX, HEIGHT_PX * EARLIER_WIDTH_PX // WIDTH_PX)
    return cast("Picture", cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
