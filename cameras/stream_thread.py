"""One camera's thread: opens its stream, hands its bursts on, and tries again when it fails."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.utils.translation import gettext as _

from cameras.models import StreamState
from cameras.sources import Burst, Stream, Terms, UnableToOpen, UnableToRead, open_stream
from trafficmon.core import metrics

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 60.0
STEADY_SECONDS = 10.0
"""A stream that lasted this long was well: after it the waiting begins anew."""


def back_off_seconds(failures: int, *, jitter: float) -> float:
    """Between 1 and 60 s after so many failures in a row; `jitter` (0 to 1) keeps cameras from trying as one."""
    longest = min(2.0 ** min(failures, 10), LONGEST_WAIT_SECONDS)
    return 1 + (longest - 1) * (0.5 + jitter / 2)


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
        source: str,
        terms: Terms,
        *,
        deliver: Callable[[StreamThread, Burst, Stream], None],
        delay_seconds: float,
    ) -> None:
        self.camera_id = camera_id
        self.terms = terms
        self.source = source
        self.detecting = True
        self.report = Report(StreamState.CONNECTING)
        self.last_frame_at: datetime | None = None
        self.is_open = False
        self.stop = threading.Event()
        self._deliver = deliver
        self._delay_seconds = delay_seconds
        self._busy_since: float | None = None
        self._corrupt_count = 0
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera_id}", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Whether the thread ended within `seconds`."""
        self._thread.join(max(seconds, 0))
        return not self._thread.is_alive()

    def quiet_seconds(self) -> float:
        """How long it has neither got a picture nor failed; 0 while it waits for its next try."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    def is_stuck(self) -> bool:
        """Whether no timeout of its own can still end this silence."""
        terms = self.terms
        return self.quiet_seconds() > 3 * terms.open_seconds + 2 * terms.read_seconds + 3 * terms.interval_seconds

    def is_dead(self) -> bool:
        """Whether it has ended, be it told to or not."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        self.stop.wait(self._delay_seconds)
        while not self.stop.is_set():
            began = time.monotonic()
            error = self._attempt()
            if self.stop.is_set():
                return
            failures = 1 if time.monotonic() - began > STEADY_SECONDS and self.was_online() else failures + 1
            self.report = Report(StreamState.OFFLINE, error)
            wait_seconds = back_off_seconds(failures, jitter=random.random())
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
            with closing(open_stream(self.source, self.terms)) as stream:
                log.info("camera.opened", camera_id=self.camera_id, codec=stream.format.codec)
                self.is_open = True
                for burst in stream.bursts(self.stop):
                    self._note(burst, stream)
                    self._deliver(self, burst, stream)
        except (UnableToOpen, UnableToRead) as error:
            return str(error)
        except Exception:  # the outermost loop of this thread: the other cameras go on
            log.exception("camera.broke", camera_id=self.camera_id)
            metrics.pipeline_errors.labels("capture").inc()
            return _("Capture failed unexpectedly; its log tells more.")
        finally:
            self.is_open = False
        return _("The stream ended.")

    def _note(self, burst: Burst, stream: Stream) -> None:
        self._busy_since = time.monotonic()
        self.last_frame_at = burst.captured_at
        if self.report.state is not StreamState.ONLINE:
            self.report = Report(StreamState.ONLINE)
        corrupt = stream.corrupt_count()
        if corrupt > self._corrupt_count:
            metrics.pipeline_errors.labels("decode").inc(corrupt - self._corrupt_count)
        self._corrupt_count = corrupt
