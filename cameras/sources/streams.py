"""What an open source is to those that read it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cameras.models import Sampling
from cameras.sampling import Burst


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


class Stream(Protocol):
    """An open connection to a source."""

    format: Format

    def bursts(self, stop: threading.Event) -> Iterator[Burst]:
        """Bursts as they come, until `stop` is set; raises UnableToRead when no more will come."""

    def hold(self, seconds: float) -> None:
        """Let the next sample begin no earlier than `seconds` from now."""

    def corrupt_count(self) -> int:
        """Packets and frames that could not be decoded so far."""

    def close(self) -> None:
        """Give the connection back; a second time does nothing."""
