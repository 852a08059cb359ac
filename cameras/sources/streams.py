"""What an open source is to those that read it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cameras.models import Sampling
from cameras.sampling import Burst

LONGEST_WAIT_SECONDS = 60.0
STEADY_SECONDS = 10.0
"""A stream that lasted this long was well: after it the waiting begins anew."""


def back_off_seconds(failures: int, *, jitter: float) -> float:
    """Between 1 and 60 s after so many failures in a row; `jitter` (0 to 1) keeps cameras from trying as one."""
    longest = min(2.0 ** min(failures, 10), LONGEST_WAIT_SECONDS)
    return 1 + (longest - 1) * (0.5 + jitter / 2)


class Attempts:
    """Tries to read one source, each after a longer wait the more failed in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self.began = time.monotonic()

    def begin(self) -> None:
        """Another one begins now."""
        self.began = time.monotonic()

    def fail(self, *, showed: bool) -> float:
        """Seconds until the next; where this one `showed` pictures and lasted, it is the first in a row that failed."""
        was_well = showed and time.monotonic() - self.began > STEADY_SECONDS
        self._failures = 1 if was_well else self._failures + 1
        return back_off_seconds(self._failures, jitter=random.random())


@dataclass(frozen=True, slots=True)
class Terms:
    """How a source is read: how often, which frames, and how long a silence is borne."""

    interval_seconds: float
    sampling: Sampling = Sampling.BURST
    open_seconds: float = 10.0
    read_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Format:
    """What the source says of its video; `fps` is 0 where it does not say."""

    codec: str
    fps: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What reading a source has come to so far; `key_frame_seconds` lie between key frames, 0 where that is unknown."""

    corrupt: int = 0
    """Packets and frames that could not be decoded."""
    decoded: int = 0
    decode_seconds: float = 0.0
    key_frame_seconds: float = 0.0
    skipped: int = 0
    """Samples that were not taken because reading had fallen behind."""
    evidence_error: str = ""
    """Why the stream that evidence is cut from gives none, in an operator's words."""


class Stream(Protocol):
    """An open connection to a source."""

    format: Format

    def bursts(self, stop: threading.Event) -> Iterator[Burst]:
        """Bursts as they come, until `stop` is set; raises UnableToRead when no more will come."""

    def hold(self, seconds: float) -> None:
        """Let the next sample begin no earlier than `seconds` from now."""

    def change_interval(self, interval_seconds: float) -> None:
        """Sample at this interval from now on."""

    def figures(self) -> Figures:
        """What it has come to since it was opened."""

    def close(self) -> None:
        """Give the connection back; a second time does nothing."""
