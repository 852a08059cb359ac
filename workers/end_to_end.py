"""The end-to-end check: synthetic work through the real queues of a running fleet, and what became of it.

It goes in at two places. *Pictures* are offered as capture does, and count as received once detection has stored what
they show. *Detections* are stored as detection does, each with one question, and count as received once it is answered
and their frame is closed. So each queue is passed, whatever the weights find on a picture.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

from assessment.gate import Gated, Question
from assessment.models import Assessment, FrameResult
from assessment.results import record_frame
from assessment.risk import AssessmentStatus
from cameras.frames import FrameRef, connect_redis
from cameras.models import CHECK_CAMERAS, Camera
from cameras.sources import encode_jpeg
from cameras.street import Street
from detection.detections import DetectedFrame, Detection
from detection.grouping import form_groups
from trafficmon.core.clock import utc_now
from trafficmon.core.geometry import Box
from trafficmon.core.ids import new_token
from trafficmon.core.objects import ObjectClass
from trafficmon.exports.models import Event, EventState
from trafficmon.notifications.models import Delivery
from workers.capturing import send_frame
from workers.pipeline import WakeUp, frame_store
from workers.queues import Queue
from workers.tasks import send_wake_up

_MODEL = "end-to-end check"
_SOURCE = "street://junction?seed=1"
_OWN_NAME = re.compile(rf"{CHECK_CAMERAS} (\S{{8}} |)\d+")
"""Of the cameras that a check makes, with its run (which those of earlier versions had not)."""
_WIDTH, _HEIGHT = 1280, 720
_MOST_CAMERAS = 50
_SECONDS_BEYOND_DEADLINE = 10.0
_STARTING_SECONDS = 60.0


class Leg(StrEnum):
    """A part of the way."""

    PICTURES = "pictures"
    DETECTIONS = "detections"


QUEUES_OF = {Leg.PICTURES: (Queue.DETECT,), Leg.DETECTIONS: (Queue.ASSESS, Queue.ASSESS_URGENT, Queue.RESULTS)}
"""What each leg passes."""


def open_legs() -> list[Leg]:
    """Those that lead anywhere: without assessment, nobody is to be asked about detections."""
    return list(Leg) if settings.MODEL_FILE.llm.enabled else [Leg.PICTURES]


@dataclass(slots=True)
class Tally:
    """What became of the things sent on one leg."""

    sent: int = 0
    latencies: list[float] = field(default_factory=list)
    """Seconds, of those that were received."""
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def received(self) -> int:
        return len(self.latencies)

    @property
    def success(self) -> float:
        """The share of those sent that were received without an error; 0 where nothing was sent."""
        return self.received / self.sent if self.sent else 0.0

    @property
    def average(self) -> float:
        return sum(self.latencies) / self.received if self.latencies else math.nan

    @property
    def p95(self) -> float:
        """What 95 of 100 were no slower than."""
        ordered = sorted(self.latencies)
        return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else math.nan


class Producer:
    """Sends pictures and detections of cameras that capture does not read, as many cameras as go in a second."""

    def __init__(self, run: str, *, rate: float) -> None:
        count = min(max(math.ceil(rate), 1), _MOST_CAMERAS)
        self.cameras = [_camera(run, number) for number in range(1, count + 1)]
        street = Street("junction", seed=1, width=_WIDTH, height=_HEIGHT)
        self._jpeg = encode_jpeg(street.render())
        self._ways = {Leg.PICTURES: self._send_picture, Leg.DETECTIONS: self._send_detection}
        self._turns = 0

    def send(self) -> dict[Leg, str]:
        """One thing on each open leg; the key of its frame, or "" where it could not be sent."""
        camera = self.cameras[self._turns % len(self.cameras)]
        self._turns += 1
        return {leg: self._ways[leg](camera) for leg in open_legs()}

    def _send_picture(self, camera: Camera) -> str:
        ref = FrameRef(camera.pk, new_token(), utc_now())
        frame_store().put(ref.frame_key, self._jpeg)
        send_frame(ref, frame_store().offer(ref))
        return ref.frame_key

    def _send_detection(self, camera: Camera) -> str:
        """Every other one is urgent, and goes by the other queue."""
        frame, urgent = _two_cars(camera), self._turns % 2 == 0
        frame_store().put(frame.frame_key, self._jpeg)
        patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
        row = record_frame(frame, Gated((Question(1, urgent=urgent),)), now=utc_now(), patience=patience)
        if row is None:
            return ""
        queue = Queue.ASSESS_URGENT if urgent else Queue.ASSESS
        # Where the queue has enough messages to wake everybody, none is sent, and whoever is awake takes this one, too.
        send_wake_up(WakeUp(queue, Assessment.objects.get(frame_result=row).pk))
        return frame.frame_key


def _camera(run: str, number: int) -> Camera:
    """It is not wanted running, so that capture leaves it alone, and asks the model nothing of its own pictures."""
    name = f"{CHECK_CAMERAS} {run} {number}"
    return Camera.objects.create(name=name, source=_SOURCE, assessment_enabled=False)


@contextmanager
def live_run(*, seconds: float) -> Iterator[str]:
    """The name of a run whose cameras no other deletes for as long as this lasts, or it could last if it died."""
    run, client = new_token()[:8], connect_redis()
    longest = seconds + settings.ENVIRONMENT.assessment_deadline_seconds + _SECONDS_BEYOND_DEADLINE + _STARTING_SECONDS
    client.set(_mark(run), 1, ex=math.ceil(longest))
    try:
        yield run
    finally:
        client.delete(_mark(run))


def _mark(run: str) -> str:
    return f"check:{run}:live"


def clean_up(run: str) -> None:
    """Delete the cameras of this run, and of those that are over or died, with all that is known of them; pictures kept
    of them go with the others of their day. A camera that somebody else called alike stays."""
    for camera in Camera.objects.filter(name__startswith=f"{CHECK_CAMERAS} "):
        own = _OWN_NAME.fullmatch(camera.name)
        if own and camera.source == _SOURCE and _is_over(own[1].strip(), run):
            camera.delete()


def _is_over(whose: str, run: str) -> bool:
    return whose == run or not connect_redis().exists(_mark(whose))


def _two_cars(camera: Camera) -> DetectedFrame:
    boxes = (Box(500, 300, 580, 360), Box(560, 320, 640, 380))
    detections = tuple(Detection(box, ObjectClass.CAR, 0.9, number) for number, box in enumerate(boxes, 1))
    grouping = settings.MODEL_FILE.post_processing.model_copy(update={"enable_groups": True, "min_group_size": 2})
    grouping = grouping.model_copy(update={"distance_threshold": 150.0})
    groups = form_groups(detections, width=_WIDTH, height=_HEIGHT, configuration=grouping)
    return DetectedFrame(camera.pk, new_token(), utc_now(), _WIDTH, _HEIGHT, detections, groups, 0.0, _MODEL)


class Watcher:
    """Looks up what became of what was sent, until all of it has come or the time is over."""

    def __init__(self) -> None:
        self.tallies = {leg: Tally() for leg in open_legs()}
        self._open: dict[Leg, dict[str, datetime]] = {leg: {} for leg in Leg}

    def expect(self, sent: dict[Leg, str]) -> None:
        for leg, frame_key in sent.items():
            self.tallies[leg].sent += 1
            if frame_key:
                self._open[leg][frame_key] = utc_now()
            else:
                self.tallies[leg].errors["not sent"] += 1

    @property
    def is_done(self) -> bool:
        return not any(self._open.values())

    def look(self) -> None:
        """Count what has come since the last look."""
        pictures, detections = self._open[Leg.PICTURES], self._open[Leg.DETECTIONS]
        for key, detected_at in _detected(pictures):
            self._receive(Leg.PICTURES, key, detected_at)
        for key, closed_at, error in _closed(detections):
            self._receive(Leg.DETECTIONS, key, closed_at, error)

    def _receive(self, leg: Leg, frame_key: str, at: datetime, error: str = "") -> None:
        since = self._open[leg].pop(frame_key)
        if error:
            self.tallies[leg].errors[error] += 1
        else:
            self.tallies[leg].latencies.append(max((at - since).total_seconds(), 0.0))

    def give_up(self) -> None:
        """Count what has not come as lost."""
        for leg, still_open in self._open.items():
            if still_open:
                self.tallies[leg].errors["never received"] += len(still_open)
                still_open.clear()


def _detected(frame_keys: Iterable[str]) -> Iterator[tuple[str, datetime]]:
    rows = FrameResult.objects.filter(frame_key__in=list(frame_keys))
    yield from rows.values_list("frame_key", "detected_at")


def _closed(frame_keys: Iterable[str]) -> Iterator[tuple[str, datetime, str]]:
    """The frames that are closed, when, and why without an answer ("" where there is one)."""
    questions = Assessment.objects.filter(frame_result__frame_key__in=list(frame_keys))
    told = questions.values_list("frame_result__frame_key", "frame_result__closed_at", "status", "reason")
    for frame_key, closed_at, status, reason in told:
        if closed_at:
            done = status == AssessmentStatus.DONE
            yield frame_key, closed_at, "" if done else f"{status}: {reason}".rstrip(": ")


def run_check(*, seconds: float, rate: float) -> dict[Leg, Tally]:
    """Send for so long at `rate` a second, wait for what is still under way, and clean up; what became of each leg."""
    with live_run(seconds=seconds) as run:
        try:
            return _watched(Producer(run, rate=rate), seconds=seconds, rate=rate)
        finally:
            clean_up(run)


def _watched(producer: Producer, *, seconds: float, rate: float) -> dict[Leg, Tally]:
    watcher = Watcher()
    for sent in sending(producer, seconds=seconds, rate=rate):
        watcher.expect(sent)
        watcher.look()
    until = time.monotonic() + settings.ENVIRONMENT.assessment_deadline_seconds + _SECONDS_BEYOND_DEADLINE
    while not watcher.is_done and time.monotonic() < until:
        time.sleep(0.1)
        watcher.look()
    watcher.give_up()
    return watcher.tallies


def sending(producer: Producer, *, seconds: float, rate: float) -> Iterator[dict[Leg, str]]:
    """Send one thing on each leg `rate` times a second; their keys. What comes too late is not made up for."""
    began = next_at = time.monotonic()
    while next_at < began + seconds:
        time.sleep(max(0.0, next_at - time.monotonic()))
        yield producer.send()
        next_at = max(next_at + 1 / rate, time.monotonic())


def is_passed(tallies: Sequence[Tally], *, least_success: float) -> bool:
    """Whether on every leg something was sent and enough of it came without an error."""
    return all(tally.sent and tally.success >= least_success for tally in tallies)


def done_since(queue: Queue, moment: datetime) -> int:
    """How many things whose way leads over `queue` were finished there since `moment`."""
    match queue:
        case Queue.DETECT:
            return FrameResult.objects.filter(detected_at__gte=moment).exclude(model=_MODEL).count()
        case Queue.RESULTS:
            return FrameResult.objects.filter(closed_at__gte=moment).count()
        case Queue.ASSESS | Queue.ASSESS_URGENT:
            urgent = queue is Queue.ASSESS_URGENT
            return Assessment.objects.filter(ended_at__gte=moment, urgent=urgent).count()
        case Queue.OUTBOUND:
            return Delivery.objects.filter(sent_at__gte=moment).count()
        case Queue.EXPORTS:
            return Event.objects.filter(state=EventState.DELIVERED, ended_at__gte=moment).count()
