"""One camera's thread: opens its stream, hands its bursts on, and tries again when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.utils import translation
from django.utils.translation import gettext_noop

from cameras.health import ReadingCost
from cameras.models import StreamState
from cameras.sources import Burst, Figures, Stream, Terms, UnableToOpen, UnableToRead, open_stream
from cameras.sources.streams import Attempts
from cameras.wording import CAPTURE_FAILED, KEPT_LANGUAGE, NO_EVIDENCE
from trafficmon.core import metrics

log = structlog.get_logger()

Sources = tuple[str, str]
"""A camera's main source, and the smaller one for detection, empty where there is none."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a thread last saw."""

    state: StreamState
    error: str = ""


class StreamThread:
    """Runs until `stop`; what it sees is read from `report` and `last_frame_at`. It never touches the database."""

    def __init__(
        self,
        camera_id: int,
        sources: Sources,
        terms: Terms,
        *,
        deliver: Callable[[StreamThread, Burst, Stream], None],
        delay_seconds: float,
    ) -> None:
        self.camera_id = camera_id
        self.terms = terms
        self.sources = sources
        self.detecting = True
        self.stretch = 1.0
        """By what its interval is multiplied while detection cannot keep up."""
        self.report = Report(StreamState.CONNECTING)
        self.last_frame_at: datetime | None = None
        self.is_open = False
        self.stop = threading.Event()
        self._deliver = deliver
        self._delay_seconds = delay_seconds
        self._busy_since: float | None = None
        self._stretched = 1.0
        self._opened_at: float | None = None
        self._samples = 0
        self._figures = Figures()
        self._stream: Stream | None = None
        self._skipped = 0
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera_id}", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Whether the thread ended within `seconds`."""
        self._thread.join(max(seconds, 0))
        return not self._thread.is_alive()

    def quiet_seconds(self) -> float:
        """How long it has neither got a picture nor failed; 0 while it waits for its next try."""
        since = self._busy_since
        return max(time.monotonic() - since, 0.0) if since else 0.0

    def expect_silence(self, seconds: float) -> None:
        """No picture is wanted for so long."""
        self._busy_since = time.monotonic() + seconds

    def is_stuck(self) -> bool:
        """Whether no timeout of its own can still end this silence."""
        terms = self.terms
        longest = 3 * terms.interval_seconds * self.stretch
        return self.quiet_seconds() > 3 * terms.open_seconds + 2 * terms.read_seconds + longest

    def cost(self) -> ReadingCost | None:
        """What reading it has taken since it was opened; None before its second sample: the first is cheaper."""
        opened_at, figures = self._opened_at, self._figures
        if opened_at is None or self._samples < 2:
            return None
        load = figures.decode_seconds / max(time.monotonic() - opened_at, 1.0)
        return ReadingCost(figures.decoded / self._samples, load, figures.key_frame_seconds)

    def take_skipped(self) -> int:
        """Samples that were not taken since this was last asked, because reading had fallen behind."""
        stream = self._stream
        skipped = stream.figures().skipped if stream else self._skipped
        before, self._skipped = self._skipped, skipped
        return max(skipped - before, 0)

    def is_dead(self) -> bool:
        """Whether it has ended, be it told to or not."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        structlog.contextvars.bind_contextvars(camera_id=self.camera_id)
        translation.activate(KEPT_LANGUAGE)
        attempts = Attempts()
        self.stop.wait(self._delay_seconds)
        while not self.stop.is_set():
            attempts.begin()
            error = self._attempt()
            if self.stop.is_set():
                return
            wait_seconds = attempts.fail(showed=self.was_online())
            self.report = Report(StreamState.OFFLINE, error)
            log.warning("camera.failed", camera_id=self.camera_id, reason=error, again_in=round(wait_seconds, 1))
            self._busy_since = None
            self.stop.wait(wait_seconds)

    def was_online(self) -> bool:
        """Whether its latest report is of an open stream; a stale one is open too."""
        return self.report.state in {StreamState.ONLINE, StreamState.STALE}

    def _attempt(self) -> str:
        """Read the stream until it ends; why it did. A camera's failure of any kind stays this camera's own."""
        self._busy_since = time.monotonic()
        try:
            main, small = self.sources
            with closing(open_stream(main, self.terms, detection_source=small)) as stream:
                log.info("camera.opened", camera_id=self.camera_id, codec=stream.format.codec)
                self._begin(stream)
                for burst in stream.bursts(self.stop):
                    self._note(burst)
                    self._account(stream)
                    self._deliver(self, burst, stream)
                    del burst  # its pictures would be kept until the next one comes
        except (UnableToOpen, UnableToRead) as error:
            return str(error)
        except Exception:  # the outermost loop of this thread: the other cameras go on
            log.exception("camera.broke", camera_id=self.camera_id)
            metrics.pipeline_errors.labels("capture").inc()
            return CAPTURE_FAILED
        finally:
            self.is_open, self._stream = False, None
        return gettext_noop("The stream ended.")

    def _begin(self, stream: Stream) -> None:
        self.is_open, self._stream, self._skipped = True, stream, 0
        self._opened_at, self._samples, self._figures, self._stretched = time.monotonic(), 0, stream.figures(), 1.0

    def _note(self, burst: Burst) -> None:
        self._busy_since = time.monotonic()
        self.last_frame_at = burst.captured_at
        if self.report.state is not StreamState.ONLINE:
            self.report = Report(StreamState.ONLINE)

    def _account(self, stream: Stream) -> None:
        """Count what the sample took, and let the next one come when it is wanted."""
        before, now = self._figures, stream.figures()
        self._figures, self._samples = now, self._samples + 1
        camera = str(self.camera_id)
        # Never less than nothing: where one of two streams is just ending, its part is missing for a moment.
        metrics.frames_decoded.labels(camera).inc(max(now.decoded - before.decoded, 0))
        metrics.decode_seconds.labels(camera).inc(max(now.decode_seconds - before.decode_seconds, 0.0))
        error = NO_EVIDENCE % {"reason": now.evidence_error} if now.evidence_error else ""
        if error != self.report.error:
            self.report = Report(StreamState.ONLINE, error)
        if now.corrupt > before.corrupt:
            metrics.pipeline_errors.labels("decode").inc(now.corrupt - before.corrupt)
        if self.stretch != self._stretched:
            self._stretched = self.stretch
            stream.change_interval(self.terms.interval_seconds * self._stretched)
