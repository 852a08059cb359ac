"""Keeps a thread per wanted camera running, and writes down what they see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import redis
import structlog
from django.db import DatabaseError, close_old_connections, connections

from cameras.frames import FrameRef, FrameStore, Offer
from cameras.health import FRAME_WRITE_SECONDS, record_frame, record_state, silence_seconds
from cameras.load import current_stretch, note_offered, note_skipped
from cameras.models import Camera, Sampling, StreamState, Wanted
from cameras.ownership import Ownership, renewing
from cameras.sampling import DECODING
from cameras.sources import Burst, Stream, Terms, encode_jpeg
from cameras.stream_thread import Report, Sources, StreamThread
from cameras.wording import NO_NEW_PICTURE, NOT_RUNNING, TOO_MANY_CAMERAS
from trafficmon.core import metrics, tracing
from trafficmon.core.clock import utc_now
from trafficmon.core.ids import new_token

log = structlog.get_logger()

ROUND_SECONDS = 1.0
_TICK_SECONDS = 0.2
_STOP_SECONDS = 1.5
_LONGEST_STAGGER_SECONDS = 0.25
_LONGEST_ROUND_SECONDS = 60.0
"""A round that takes longer never ends: other processes are to have the cameras."""


class Capture:
    """A capture process. Only its own thread uses the database; cameras' threads only hand on pictures.

    It reads its share of the cameras: others may capture, too, on this host and elsewhere.
    """

    def __init__(
        self,
        *,
        store: FrameStore,
        on_frame: Callable[[FrameRef, Offer], None],
        on_state: Callable[[int, StreamState, str], None],
        limit: int,
        default_interval: float,
    ) -> None:
        # Frames that are handed on or given up for newer ones are counted by whoever `on_frame` tells.
        self.patience_seconds = 10.0
        """How long a camera may take to open, and how long it may then be silent, before it is tried anew."""
        self._store = store
        self._ownership = Ownership(store.client, most=limit)
        self._on_frame = on_frame
        self._on_state = on_state
        self._default_interval = default_interval
        self._turned_at = time.monotonic()
        self._stretch = 1.0
        self._too_many: frozenset[int] = frozenset()
        self._threads: dict[int, StreamThread] = {}
        self._written: dict[int, Report] = {}
        self._frames_written: dict[int, datetime] = {}

    def run(self, stop: threading.Event) -> None:
        """Capture until `stop` is set, which takes effect within two seconds."""
        with renewing(self._ownership, is_at_work=self._is_at_work):
            self._turn(stop)
        self._leave()

    def _turn(self, stop: threading.Event) -> None:
        last_round = float("-inf")
        while not stop.wait(_TICK_SECONDS if self._threads else 0.05):
            self._turned_at = time.monotonic()
            full = self._turned_at - last_round >= ROUND_SECONDS
            if not full and not self._has_news():
                continue
            try:
                close_old_connections()
                if full:
                    last_round = self._turned_at
                    self._reconcile()
                self._write_down()
            except Exception:  # the process's outermost loop: a database that is away comes back
                log.exception("capture.round_failed")
                metrics.pipeline_errors.labels("capture").inc()

    def _is_at_work(self) -> bool:
        """Whether its rounds go on, be it slowly; asked by the thread that renews what is ours meanwhile."""
        return time.monotonic() - self._turned_at < _LONGEST_ROUND_SECONDS

    def _leave(self) -> None:
        try:
            self._end()
        except (DatabaseError, redis.RedisError) as error:  # at the end of the day they may have left first
            log.warning("capture.end_not_told", error=type(error).__name__)
        finally:
            connections.close_all()

    def _has_news(self) -> bool:
        return any(self._written.get(number) != thread.report for number, thread in self._threads.items())

    def _reconcile(self) -> None:
        wanted = {camera.pk: camera for camera in Camera.objects.wanted_running().order_by("pk")}
        share = self._ownership.keep(list(wanted))
        self._stretch = self._look_at_pace()
        for camera_id in [number for number in self._threads if number not in share.mine]:
            self._drop(camera_id)
        self._look_again(wanted)
        fresh = [wanted[number] for number in sorted(share.mine) if not self._still_right(wanted[number])]
        for position, camera in enumerate(fresh):
            self._drop(camera.pk)
            self._start(camera, position * min(_LONGEST_STAGGER_SECONDS, self._interval(camera) / len(fresh)))
        self._too_many = share.too_many
        self._turn_away(share.too_many)
        self._count_skipped()
        self._forget_stopped()

    def _look_at_pace(self) -> float:
        try:
            return current_stretch(self._store.client)
        except redis.RedisError:
            return self._stretch

    def _count_skipped(self) -> None:
        """Count what was not sampled because it was read too late.

        Where that befalls many cameras this process cannot keep up, and the fleet's pace takes it into account.
        """
        skipped = {camera_id: thread.take_skipped() for camera_id, thread in self._threads.items()}
        lagging = [camera_id for camera_id, count in skipped.items() if count]
        reason = "behind" if len(lagging) > max(1, len(skipped) // 10) else "late"
        with suppress(redis.RedisError):  # without Redis nothing keeps pace anyway
            for camera_id in lagging:
                metrics.frames_dropped.labels(reason).inc(skipped[camera_id])
                for _sample in range(skipped[camera_id]):
                    note_skipped(self._store.client, camera_id, reason)

    def _look_again(self, wanted: dict[int, Camera]) -> None:
        """Write the state anew of cameras of which somebody else wrote another meanwhile."""
        for camera_id, report in list(self._written.items()):
            if camera_id in wanted and wanted[camera_id].state != report.state:
                del self._written[camera_id]

    def _turn_away(self, camera_ids: Iterable[int]) -> None:
        for camera_id in camera_ids:
            self._write(camera_id, Report(StreamState.OFFLINE, TOO_MANY_CAMERAS))

    def _forget_stopped(self) -> None:
        seen = Camera.objects.filter(wanted=Wanted.STOPPED).exclude(
            state__in=(StreamState.STOPPED, StreamState.UNKNOWN)
        )
        for camera_id in seen.values_list("pk", flat=True):
            self._write(camera_id, Report(StreamState.STOPPED))
        kept = self._threads.keys() | self._too_many
        self._written = {number: report for number, report in self._written.items() if number in kept}
        self._frames_written = {number: at for number, at in self._frames_written.items() if number in self._threads}

    def _still_right(self, camera: Camera) -> bool:
        thread = self._threads.get(camera.pk)
        if thread is None or thread.is_dead() or thread.is_stuck():
            return False
        thread.detecting = camera.detection_enabled
        thread.stretch = self._stretch
        return thread.sources == _sources(camera) and thread.terms == self._terms(camera)

    def _interval(self, camera: Camera) -> float:
        return camera.frame_interval or self._default_interval

    def _terms(self, camera: Camera) -> Terms:
        patience = self.patience_seconds
        return Terms(self._interval(camera), Sampling(camera.sampling), open_seconds=patience, read_seconds=patience)

    def _start(self, camera: Camera, delay_seconds: float) -> None:
        thread = StreamThread(
            camera.pk, _sources(camera), self._terms(camera), deliver=self._deliver, delay_seconds=delay_seconds
        )
        thread.detecting = camera.detection_enabled
        self._threads[camera.pk] = thread

    def _drop(self, camera_id: int) -> None:
        """Let a thread end in its own time: it may be waiting for a camera that says nothing."""
        thread = self._threads.pop(camera_id, None)
        self._written.pop(camera_id, None)
        if thread:
            thread.stop.set()
            log.info("camera.closed", camera_id=camera_id)

    def _write_down(self) -> None:
        for camera_id, thread in self._threads.items():
            borne = silence_seconds(thread.terms.interval_seconds * thread.stretch)
            if thread.report.state is StreamState.ONLINE and thread.quiet_seconds() > borne:
                thread.report = Report(StreamState.STALE, NO_NEW_PICTURE)
            self._write(camera_id, thread.report)
        metrics.active_cameras.set(sum(thread.is_open for thread in self._threads.values()))
        self._write_frames()

    def _write(self, camera_id: int, report: Report) -> None:
        if self._written.get(camera_id) == report:
            return
        if record_state(camera_id, report.state, error=report.error, now=utc_now()):
            log.info("camera.state", camera_id=camera_id, state=str(report.state))
            self._on_state(camera_id, report.state, report.error)
        self._written[camera_id] = report

    def _write_frames(self) -> None:
        lag = timedelta(seconds=FRAME_WRITE_SECONDS)
        for camera_id, thread in self._threads.items():
            at, written_at = thread.last_frame_at, self._frames_written.get(camera_id)
            if at and (written_at is None or at - written_at >= lag):
                record_frame(camera_id, at=at, cost=thread.cost())
                self._frames_written[camera_id] = at

    def _end(self) -> None:
        for thread in self._threads.values():
            thread.stop.set()
        until = time.monotonic() + _STOP_SECONDS
        for thread in self._threads.values():
            thread.join(until - time.monotonic())
        metrics.active_cameras.set(0)
        self._threads.clear()
        if self._ownership.leave():
            # Those of a process that ended at the same time are among them: nobody took them over.
            for camera_id in Camera.objects.wanted_running().values_list("pk", flat=True):
                self._write(camera_id, Report(StreamState.OFFLINE, NOT_RUNNING))

    def _deliver(self, thread: StreamThread, burst: Burst, stream: Stream) -> None:
        """Called in a camera's thread: keep the burst's pictures and let its last one wait for detection."""
        camera_id = thread.camera_id
        if not thread.detecting or thread.stop.is_set():
            return
        if not self._ownership.is_held():
            # Another process has the camera by now, or this one cannot reach Redis.
            metrics.frames_dropped.labels("unowned").inc()
            return
        try:
            pause_seconds = self._store.pause_left(camera_id)
            if pause_seconds:
                stream.hold(pause_seconds)
                thread.expect_silence(pause_seconds)
                return
            self._sample(thread, burst)
        except redis.RedisError as error:
            log.warning("capture.store_unavailable", camera_id=camera_id, error=type(error).__name__)
            metrics.frames_dropped.labels("store_unavailable").inc()

    def _sample(self, thread: StreamThread, burst: Burst) -> None:
        """Begin the frame's trace, keep it, and tell of it."""
        with tracing.span("capture.sample", parent="", camera_id=thread.camera_id) as span:
            ref, offer = self._keep(thread, burst)
            span.note(frame_key=ref.frame_key, replaced=offer.replaced is not None)
            self._on_frame(ref, offer)

    def _keep(self, thread: StreamThread, burst: Burst) -> tuple[FrameRef, Offer]:
        keys = tuple(new_token() for _picture in burst.pictures)
        evidence_key = "" if burst.evidence is None else new_token()
        pictures = dict(zip(keys, burst.pictures, strict=True))
        if burst.evidence is not None:
            pictures[evidence_key] = burst.evidence
        with DECODING:
            jpegs = {key: encode_jpeg(picture) for key, picture in pictures.items()}
        self._store.put_all(jpegs)
        ref = FrameRef(thread.camera_id, keys[-1], burst.captured_at, keys, burst.moments, evidence_key)
        if tracing.is_on():
            ref = replace(ref, traceparent=tracing.traceparent(), traced_at=tracing.now())
        offer = self._store.offer(ref)
        with suppress(redis.RedisError):  # the frame waits already: that it is not counted must not hide that
            interval, replaced = thread.terms.interval_seconds, offer.replaced is not None
            note_offered(self._store.client, ref.camera_id, replaced=replaced, interval_seconds=interval)
            if offer.replaced:
                self._store.forget(offer.replaced)
        return ref, offer


def _sources(camera: Camera) -> Sources:
    return camera.source, camera.detection_source
