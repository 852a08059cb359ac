"""A capture at work in a test, and what it handed on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cameras.capture import Capture
from cameras.frames import FrameRef, FrameStore, Offer
from cameras.models import Camera, StreamState, Wanted


@dataclass
class Seen:
    """What a capture handed on."""

    frames: list[tuple[FrameRef, Offer]] = field(default_factory=list)
    states: list[tuple[int, StreamState, str]] = field(default_factory=list)

    def of(self, camera: Camera) -> list[FrameRef]:
        return [ref for ref, _offer in self.frames if ref.camera_id == camera.pk]

    def states_of(self, camera: Camera) -> list[StreamState]:
        return [state for number, state, _error in self.states if number == camera.pk]


@contextmanager
def capturing(
    store: FrameStore, *, limit: int = 50, interval: float = 0.3, patience_seconds: float = 10, fails: bool = False
) -> Iterator[Seen]:
    """A capture at work; with `fails`, telling of the first state breaks."""
    seen, stop = Seen(), threading.Event()

    def tell(camera_id: int, state: StreamState, error: str) -> None:
        seen.states.append((camera_id, state, error))
        if fails and len(seen.states) == 1:
            raise RuntimeError("the first telling breaks")

    capture = Capture(
        store=store,
        on_frame=lambda ref, offer: seen.frames.append((ref, offer)),
        on_state=tell,
        limit=limit,
        default_interval=interval,
    )
    capture.patience_seconds = patience_seconds
    thread = threading.Thread(target=capture.run, args=(stop,))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def running(name: str, source: str = "road.mp4", **fields: object) -> Camera:
    return Camera.objects.create(name=name, source=source, wanted=Wanted.RUNNING, **fields)


def threads_of(camera: Camera) -> int:
    return sum(thread.name == f"camera-{camera.pk}" for thread in threading.enumerate())
