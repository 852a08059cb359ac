"""The main stream of a camera whose detection runs on another: read all the time, decoded when evidence is wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import av
import structlog
from django.utils import translation
from django.utils.translation import gettext as _

from cameras.addresses import AllowedSource
from cameras.models import Sampling
from cameras.sampling import Arrival, Burst, Picture
from cameras.sources.containers import ContainerStream
from cameras.sources.errors import UnableToOpen, UnableToRead
from cameras.sources.streams import Attempts, Figures, Stream, Terms
from cameras.wording import CAPTURE_FAILED, KEPT_LANGUAGE
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now

log = structlog.get_logger()

_NEVER_SECONDS = 1e9
_PATIENCE_WITHOUT_PICTURE = 3
"""So many times the silence that is borne."""
_LONGEST_AGE_SECONDS = 1.0
"""A picture that is older than this does not show what was detected."""


class _MainStream(ContainerStream):
    """A stream of which another thread may ask for the newest picture."""

    def __init__(self, source: AllowedSource, terms: Terms) -> None:
        self._turn = threading.Lock()
        super().__init__(source, terms)

    def sample(self, packet: av.Packet[av.VideoStream], arrival: Arrival) -> Burst | None:
        with self._turn:
            return super().sample(packet, arrival)

    def newest(self) -> Burst | None:
        with self._turn:
            return self.sampler.newest()

    def close(self) -> None:
        with self._turn:
            super().close()
            self.sampler.restart()


class EvidenceStream:
    """A thread that reads the main stream, and tries again when that fails: detection goes on meanwhile."""

    def __init__(self, source: AllowedSource, terms: Terms) -> None:
        self.error = ""
        """Why there is no evidence, in an operator's words; empty while there is."""
        self._source = source
        self._terms = Terms(_NEVER_SECONDS, Sampling.KEY_FRAME, terms.open_seconds, terms.read_seconds)
        self._stop = threading.Event()
        self._stream: _MainStream | None = None
        self._earlier = Figures()
        """Of the connections before this one."""
        self._shown_at = time.monotonic()
        threading.Thread(target=self._run, name="evidence", daemon=True).start()

    def newest(self) -> Picture | None:
        """The newest picture of the main stream; None where there is none of the present."""
        stream = self._stream
        burst = stream.newest() if stream else None
        now = time.monotonic()
        if burst is None or (utc_now() - burst.captured_at).total_seconds() > _LONGEST_AGE_SECONDS:
            if now - self._shown_at > _PATIENCE_WITHOUT_PICTURE * self._terms.read_seconds and not self.error:
                self.error = _("No picture can be made of what the camera sends.")
            return None
        self._shown_at, self.error = now, ""
        return burst.pictures[-1]

    def figures(self) -> Figures:
        """What reading it has come to."""
        stream = self._stream
        found = _added(self._earlier, stream.figures()) if stream else self._earlier
        return replace(found, evidence_error=self.error)

    def close(self) -> None:
        """Let the thread end in its own time."""
        self._stop.set()

    def _run(self) -> None:
        translation.activate(KEPT_LANGUAGE)
        attempts = Attempts()
        while not self._stop.is_set():
            attempts.begin()
            self.error = self._attempt()
            if self._stop.is_set():
                return
            log.warning("evidence.failed", reason=self.error)
            self._stop.wait(attempts.fail(showed=self._shown_at > attempts.began))

    def _attempt(self) -> str:
        """Read the stream until it ends; why it did."""
        try:
            with closing(_MainStream(self._source, self._terms)) as self._stream:
                for _first_picture in self._stream.bursts(self._stop):
                    self._shown_at, self.error = time.monotonic(), ""
        except (UnableToOpen, UnableToRead) as error:
            return str(error)
        except Exception:  # the outermost loop of this thread: detection goes on
            log.exception("evidence.broke")
            metrics.pipeline_errors.labels("capture").inc()
            return CAPTURE_FAILED
        finally:
            ended, self._stream = self._stream, None
            if ended:
                self._earlier = _added(self._earlier, ended.figures())
        return ""


def _added(one: Figures, other: Figures) -> Figures:
    """What both have come to together."""
    return replace(
        one,
        corrupt=one.corrupt + other.corrupt,
        decoded=one.decoded + other.decoded,
        decode_seconds=one.decode_seconds + other.decode_seconds,
    )


class PairedStream:
    """A small stream on which road users are found, and the main one of the same camera for evidence."""

    def __init__(self, detection: Stream, main: EvidenceStream) -> None:
        self.format = detection.format
        self._detection = detection
        self._main = main

    def bursts(self, stop: threading.Event) -> Iterator[Burst]:
        for burst in self._detection.bursts(stop):
            yield replace(burst, evidence=self._main.newest())

    def hold(self, seconds: float) -> None:
        self._detection.hold(seconds)

    def change_interval(self, interval_seconds: float) -> None:
        self._detection.change_interval(interval_seconds)

    def figures(self) -> Figures:
        small, main = self._detection.figures(), self._main.figures()
        return replace(_added(small, main), evidence_error=main.evidence_error)

    def close(self) -> None:
        self._main.close()
        self._detection.close()
