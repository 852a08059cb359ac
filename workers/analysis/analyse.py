"""The way of a recording's frames: the fleet's functions in the fleet's order, with the recording's own time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from django.utils.translation import gettext as _

from assessment.assess import RetryPolicy
from assessment.evidence import pictures_of
from assessment.gate import Circumstances, GateRules, Question, gate
from assessment.risk import AssessmentStatus
from cameras.frames import FrameRef
from cameras.sources import UnableToOpen, UnableToRead, encode_jpeg
from detection.detect import FramePipeline, Shot, detect_frame
from detection.detections import DetectedFrame
from detection.detector import Picture
from detection.tracks import TrackerState
from trafficmon.core.clock import utc_now
from workers.analysis.album import Album
from workers.analysis.annotate import thumbnail
from workers.analysis.asking import Asker, Task
from workers.analysis.deriving import derive_alerts
from workers.analysis.findings import AnalysedFrame, Analysis, Assessed, Conditions, Recording
from workers.analysis.recording import RecordingUnusableError, samples
from workers.analysis.whom import Ask

NO_CAMERA = 0
THIN_EVERY = 16
"""Frames between two sortings of the pictures kept for the report."""
GRACE_SECONDS = 2.0
"""After Ctrl-C, so long are answers still taken that are on their way."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to analyse and how; `ask` is None where nothing is assessed."""

    path: Path
    recording: Recording
    conditions: Conditions
    pipeline: FramePipeline
    ask: Ask | None
    retries: RetryPolicy
    limit_seconds: float = float("inf")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis has come, in the recording's seconds."""

    seconds: float
    frames: int
    asked: int
    answered: int
    failures: frozenset[str]
    """Reasons of the failures so far."""


@dataclass(slots=True)
class Cooldown:
    """One assessed frame in each `seconds` of the recording."""

    seconds: float
    asked_at: float = float("-inf")

    def circumstances(self, at: float) -> Circumstances:
        """Those of the frame at `at` seconds: no verdict is reused and nothing sampled, so that two analyses agree."""
        return Circumstances(lambda: self.is_due(at), lambda: self.take_turn(at))

    def is_due(self, at: float) -> bool:
        return at - self.asked_at >= self.seconds

    def take_turn(self, at: float) -> bool:
        """Whether the frame at `at` seconds may be asked about; if so, those within `seconds` after it may not."""
        if not self.is_due(at):
            return False
        self.asked_at = at
        return True


class Analyst:
    """Looks at one frame after the other and remembers what it found."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._asker = Asker(plan.ask, plan.retries) if plan.ask else None
        self._tracks: TrackerState | None = None
        self._cooldown = Cooldown(plan.conditions.cooldown_seconds)
        self._frames: list[AnalysedFrame] = []
        self._questions = 0
        duration = min(plan.recording.duration_seconds, plan.limit_seconds)
        self._album = Album(duration_seconds=duration)

    def look(self, seconds: float, picture: Picture) -> None:
        """Detect the frame at `seconds`, and ask about it when it is worth it."""
        number = len(self._frames) + 1
        ref = FrameRef(NO_CAMERA, f"{number:06d}", self._plan.recording.moment(seconds))
        shot = Shot(picture, ref.captured_at)
        frame, self._tracks = detect_frame([shot], ref, pipeline=self._plan.pipeline, tracks=self._tracks)
        gated = gate(frame, self._rules(), self._cooldown.circumstances(seconds))
        jpeg = encode_jpeg(picture)
        assessed = tuple(self._put(each, seconds) for each in gated.questions)
        self._frames.append(AnalysedFrame(number, seconds, frame, gated.reason, assessed))
        self._album.add(number, seconds, jpeg)
        self._submit(assessed, frame, jpeg)
        if number % THIN_EVERY == 0:
            self._album.thin(self._rank)

    def _rules(self) -> GateRules:
        return GateRules(enabled=self._asker is not None, ask_from=self._plan.conditions.ask_from)

    def _put(self, question: Question, seconds: float) -> Assessed:
        self._questions += 1
        return Assessed(
            number=self._questions,
            frame_number=len(self._frames) + 1,
            seconds=seconds,
            group_index=question.group_index,
            status=AssessmentStatus.PENDING,
        )

    def _submit(self, assessed: tuple[Assessed, ...], frame: DetectedFrame, jpeg: bytes) -> None:
        for each in assessed:
            pictures = pictures_of(frame, each.group_index, {frame.frame_key: jpeg})
            shown = replace(each, picture=thumbnail(pictures.crop() or pictures.frame))
            if self._asker:
                self._asker.submit(Task(shown, frame, pictures))

    def _rank(self, number: int) -> tuple[int, int] | None:
        """How telling a frame is; None while an answer about it is awaited."""
        frame = self._frames[number - 1]
        ended = [self._asker.ended(each.number) for each in frame.assessed] if self._asker else []
        if None in ended:
            return None
        return _rank_settled(replace(frame, assessed=tuple(filter(None, ended))))

    def progress(self, seconds: float) -> Progress:
        """How far it is, having come to `seconds` of the recording."""
        asked, answered = self._asker.counts if self._asker else (0, 0)
        failures = self._asker.failures if self._asker else frozenset()
        return Progress(seconds, len(self._frames), asked, answered, frozenset(failures))

    def wait(self, *, seconds: float) -> bool:
        """Wait for the answers, for `seconds` at most; whether none is awaited any more."""
        return self._asker is None or self._asker.wait(seconds=seconds)

    def conclude(self) -> tuple[tuple[AnalysedFrame, ...], dict[int, bytes]]:
        """All frames, each question with what became of it, and the pictures worth showing."""
        if self._asker:
            self._asker.close()
            outcome = self._asker.outcome_of
            self._frames = [replace(each, assessed=tuple(map(outcome, each.assessed))) for each in self._frames]
        self._album.thin(lambda number: _rank_settled(self._frames[number - 1]))
        return tuple(self._frames), self._album.pictures()


def _rank_settled(frame: AnalysedFrame) -> tuple[int, int]:
    return frame.outcome.level.severity * 2 + bool(frame.assessed), frame.road_user_count


def analyse(plan: Plan, report_progress: Callable[[Progress], None]) -> Analysis:
    """Analyse the recording to its end, its limit or Ctrl-C; raises RecordingUnusableError when it shows nothing."""
    began, at = perf_counter(), utc_now()
    analyst = Analyst(plan)
    stopped = ""
    try:
        stopped = _watch(plan, analyst, report_progress)
    except KeyboardInterrupt:
        stopped = _("It was stopped by hand.")
        analyst.wait(seconds=GRACE_SECONDS)
    frames, pictures = analyst.conclude()
    if not frames and not stopped:
        raise RecordingUnusableError(_("%(path)s holds no picture that can be read.") % {"path": plan.path})
    return Analysis(
        recording=plan.recording,
        conditions=plan.conditions,
        analysed_at=at,
        took_seconds=perf_counter() - began,
        frames=frames,
        alerts=derive_alerts(frames),
        pictures=pictures,
        stopped=stopped,
    )


def _watch(plan: Plan, analyst: Analyst, report_progress: Callable[[Progress], None]) -> str:
    """Look at every sample and wait for the answers; why it ended early, empty when it did not."""
    seconds, stopped = 0.0, ""
    try:
        for seconds, picture in _within_limit(plan):
            analyst.look(seconds, picture)
            report_progress(analyst.progress(seconds))
    except UnableToOpen as error:
        raise RecordingUnusableError(str(error)) from None
    except UnableToRead as error:
        stopped = str(error)
    while not analyst.wait(seconds=0.2):
        report_progress(analyst.progress(seconds))
    report_progress(analyst.progress(seconds))
    return stopped


def _within_limit(plan: Plan) -> Iterator[tuple[float, Picture]]:
    for seconds, picture in samples(plan.path, every_seconds=plan.conditions.every_seconds):
        if seconds > plan.limit_seconds:
            return
        yield seconds, picture
