"""Which packets of a stream are decoded: reading goes on all the time, decoding only for what is sampled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, cast

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from cameras.models import Sampling
from trafficmon.core.cores import usable_cores

Picture = NDArray[np.uint8]

BURST_SPREAD_SECONDS = 0.16
"""Between the pictures of a burst: close enough that a road user at 50 km/h overlaps its own box."""
EARLIER_WIDTH_PX = 640
"""As wide as what detectors look at; pictures at full size would cost a fourth of all that capture does."""
TORN_BURST_SECONDS = 2.0
MOST_LATE_SECONDS = 0.5
"""A packet that is read later than this begins no sample: whoever has fallen behind catches up by decoding nothing."""
MOST_PIXELS = 40_000_000
"""Of a picture: more than cameras have, and no more than the memory bears from many of them."""
_LONGEST_BACKLOG = 500
_ROUNDING_SECONDS = 1e-6
_REACH = 0.5
"""Of the interval: a key frame so much too early or late still will do, as it costs a fraction of any other frame."""

DECODING = threading.BoundedSemaphore(usable_cores())
"""To be held while decoding and encoding: done in more threads at once than may run, all take longer."""


class Arrival(NamedTuple):
    """When a packet's picture was captured, also in seconds of any steady clock, and how late the packet is read."""

    epoch_seconds: float
    seconds: float
    late_seconds: float = 0.0

    @property
    def captured_at(self) -> datetime:
        return datetime.fromtimestamp(self.epoch_seconds, UTC)


@dataclass(frozen=True, slots=True)
class Burst:
    """Pictures (BGR, height x width x 3) sampled together in time order; the last is the one to detect.

    Those before it only show how things move, and are at most EARLIER_WIDTH_PX wide.

    `moments` are when each was captured. `evidence` shows the last one larger, where there is a stream for that.
    """

    pictures: tuple[Picture, ...]
    moments: tuple[datetime, ...]
    evidence: Picture | None = None

    @property
    def captured_at(self) -> datetime:
        """When the last one was captured."""
        return self.moments[-1]


@dataclass(slots=True)
class Schedule:
    """When the next sample is due, on a grid: a sample that came late does not delay those after it."""

    interval_seconds: float
    due: float = float("-inf")
    held_until: float = float("-inf")

    def is_due(self, seconds: float, *, early_seconds: float = 0.0) -> bool:
        """Whether a sample may begin at `seconds`, on the same clock as `advance` and `hold`, or so much too early."""
        return seconds + _ROUNDING_SECONDS >= max(self.due - early_seconds, self.held_until)

    def advance(self, seconds: float) -> None:
        """A sample was begun at `seconds`; where more than one was missed the grid starts anew."""
        start = self.due if seconds < self.due + self.interval_seconds else seconds
        self.due = start + self.interval_seconds

    def change_interval(self, interval_seconds: float) -> None:
        """Let the next sample follow the last one after this interval."""
        self.due += interval_seconds - self.interval_seconds
        self.interval_seconds = interval_seconds

    def hold(self, until_seconds: float) -> None:
        """Begin no sample before `until_seconds`; what is due later stays so."""
        self.held_until = until_seconds
        self.due = max(self.due, until_seconds)


def offsets_of_burst(sampling: Sampling, interval_seconds: float) -> tuple[float, ...]:
    """Seconds from a sample's first picture to each of its pictures."""
    if sampling != Sampling.BURST:
        return (0.0,)
    spread = min(BURST_SPREAD_SECONDS, interval_seconds / 3)
    return (0.0, spread, 2 * spread)


def prepare_decoder(stream: av.VideoStream, *, exact: bool = True) -> None:
    """One thread and no delay: many cameras share the machine, and a frame is wanted as soon as its packet is here.

    A frame of more than MOST_PIXELS is refused before there is memory taken for it, and its size then reads 0. Unless
    it has to be `exact`, edges of blocks are not smoothed: a quarter to a third less work, and within a second of a key
    frame less of a difference than the JPEG makes afterwards (see docs/benchmarks.md).
    """
    context = stream.codec_context
    context.thread_type = "NONE"
    context.thread_count = 1
    context.options = {"max_pixels": str(MOST_PIXELS)} | ({} if exact else {"skip_loop_filter": "all"})
    context.flags |= Flags.low_delay | Flags.copy_opaque


class Sampler:
    """Turns the packets of one stream into bursts, decoding no more than they need.

    A sample begins with the key frame nearest to when it is due. Where none comes near, it begins in between, and what
    follows the last key frame is decoded up to there. The very first sample is one picture, as soon as can be.
    """

    def __init__(self, *, interval_seconds: float, sampling: Sampling) -> None:
        self.schedule = Schedule(interval_seconds)
        self.corrupt_count = 0
        """Packets and frames that could not be decoded."""
        self.skipped_count = 0
        """Samples that were not taken because their packets were read too late."""
        self.decoded_count = 0
        self.decode_seconds = 0.0
        """Processor time of this thread for what was decoded, its conversion included."""
        self.key_frame_seconds = 0.0
        """From the last key frame but one to the last; 0 where that is not known yet."""
        self._every_frame = sampling == Sampling.EVERY_FRAME
        self._offsets = offsets_of_burst(sampling, interval_seconds)
        self._backlog: list[av.Packet[av.VideoStream]] = []
        self._skipped = False
        self._key_seconds: float | None = None
        self._wanted: list[float] = []
        self._taken: list[tuple[float, datetime, Picture]] = []
        self._taken_size = (0, 0)
        self._began = False

    def restart(self) -> None:
        """Forget the stream so far: another begins, as when a file starts over."""
        self._backlog.clear()
        self._wanted.clear()
        self._taken.clear()
        self._key_seconds = None

    def push(self, packet: av.Packet[av.VideoStream], arrival: Arrival) -> Burst | None:
        """Take the next packet; a burst when it completes one."""
        packet.opaque = arrival
        if packet.is_keyframe:
            self._note_key_frame(arrival.seconds)
        elif self._key_seconds is None:
            return None
        self._backlog.append(packet)
        if not self._wanted and self._begins(packet, arrival.seconds):
            self._begin(arrival)
        return self._decode_backlog() if self._is_complete(arrival.seconds) else None

    def _is_complete(self, seconds: float) -> bool:
        """Whether the backlog is to be decoded: a sample's last picture is there, or it has grown too long."""
        if self._every_frame or len(self._backlog) >= _LONGEST_BACKLOG:
            return True
        return bool(self._wanted) and seconds >= self._wanted[-1]

    def _note_key_frame(self, seconds: float) -> None:
        if self._key_seconds is not None:
            self.key_frame_seconds = seconds - self._key_seconds
        self._key_seconds = seconds
        if not self._wanted:  # what leads up to a sample that has begun is still needed
            self._skipped = self._skipped or bool(self._backlog)
            self._backlog.clear()

    def _begins(self, packet: av.Packet[av.VideoStream], seconds: float) -> bool:
        schedule = self.schedule
        if self._every_frame or self._key_seconds is None:
            return schedule.is_due(seconds)
        reach = _REACH * schedule.interval_seconds
        if packet.is_keyframe:
            next_late_by = seconds + self.key_frame_seconds - schedule.due
            return schedule.is_due(seconds, early_seconds=max(min(reach, next_late_by), 0.0))
        key_late_by = self._key_seconds + self.key_frame_seconds - schedule.due
        awaited = self.key_frame_seconds and key_late_by <= reach
        return schedule.is_due(seconds - reach if awaited else seconds)

    def _begin(self, arrival: Arrival) -> None:
        seconds = arrival.seconds
        self.schedule.advance(seconds)
        if arrival.late_seconds > MOST_LATE_SECONDS:
            self.skipped_count += 1
            return
        self._wanted = [seconds + offset for offset in self._offsets] if self._began else [seconds]
        self._began = True

    def newest(self) -> Burst | None:
        """The newest picture, whether or not one is due; None where nothing new has come."""
        last = None
        with DECODING:
            for frame in self._decoded():
                last = frame
        if last is None:
            return None
        captured_at = cast("Arrival", last.opaque).captured_at
        return Burst((_full(last),), (captured_at,))

    def _decode_backlog(self) -> Burst | None:
        burst = None
        with DECODING:
            for frame in self._decoded():
                burst = self._look_at(frame) or burst
        return burst

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """The frames of the backlog, which is empty afterwards; what cannot be decoded is counted and left behind."""
        backlog, self._backlog = self._backlog, []
        for packet in backlog:
            if packet.is_keyframe and self._skipped:
                packet.stream.codec_context.flush_buffers()
                self._skipped = False
            began = time.thread_time()
            try:
                frames = packet.decode()
            except av.FFmpegError:
                frames = []
                self.corrupt_count += 1
            self.decoded_count += len(frames)
            self.corrupt_count += sum(frame.is_corrupt for frame in frames)
            yield from (frame for frame in frames if not frame.is_corrupt)
            self.decode_seconds += time.thread_time() - began

    def _look_at(self, frame: av.VideoFrame) -> Burst | None:
        arrival = cast("Arrival", frame.opaque)
        seconds = arrival.seconds
        if not self._wanted or seconds < self._wanted[0]:
            return None
        if self._taken and self._tears(frame, seconds):
            self._taken.clear()
        self._taken_size = (frame.width, frame.height)
        is_last = len(self._wanted) == 1
        self._taken.append((seconds, arrival.captured_at, _full(frame) if is_last else _small(frame)))
        self._wanted.pop(0)
        if self._wanted:
            return None
        _seconds, moments, pictures = zip(*self._taken, strict=True)
        self._taken.clear()
        return Burst(pictures, moments)

    def _tears(self, frame: av.VideoFrame, seconds: float) -> bool:
        """Whether this frame does not belong to those taken: much later, or of another size."""
        return seconds - self._taken[0][0] > TORN_BURST_SECONDS or (frame.width, frame.height) != self._taken_size


def _full(frame: av.VideoFrame) -> Picture:
    return cast("Picture", frame.to_ndarray(format="bgr24"))


def _small(frame: av.VideoFrame) -> Picture:
    """The frame at EARLIER_WIDTH_PX at most, as wide to its height as before."""
    if frame.width <= EARLIER_WIDTH_PX:
        return _full(frame)
    height = max(round(frame.height * EARLIER_WIDTH_PX / frame.width), 1)
    small = frame.reformat(EARLIER_WIDTH_PX, height, format="bgr24", interpolation="FAST_BILINEAR")
    return cast("Picture", small.to_ndarray())
