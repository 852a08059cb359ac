"""What has to be there before an analysis begins: a readable recording, a detector, somebody to ask, room to write."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from assessment.assess import RetryPolicy
from assessment.clients import load_client
from assessment.prompt import load_template
from assessment.simulator import running_simulator
from detection.backends import load_detector
from detection.detect import FramePipeline
from trafficmon.settings.model_file import ModelFile
from workers.analysis.analyse import Plan
from workers.analysis.findings import Conditions, Recording
from workers.analysis.recording import default_interval, look_at
from workers.analysis.whom import Ask, find_ask

SIMULATED_KEY = "sk-simulated"


class CannotAnalyseError(Exception):
    """The analysis cannot begin; the message is one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for; None where the configuration decides."""

    path: Path
    every_seconds: float | None = None
    limit_seconds: float | None = None
    started_at: datetime | None = None
    weights: str | None = None
    cooldown_seconds: float | None = None
    asks: bool = True
    simulate: bool = False


@contextmanager
def prepared(wishes: Wishes) -> Iterator[Plan]:
    """The plan, with a simulator for as long as it lasts where one is wanted.

    Raises CannotAnalyseError, RecordingUnusableError, DetectorError or UnusablePrompt.
    """
    recording = look_at(wishes.path, started_at=wishes.started_at)
    configuration = _configuration(wishes)
    pipeline = FramePipeline(load_detector(configuration, weights_dir=settings.WEIGHTS_DIR), configuration)
    with _asking(wishes, asks=wishes.asks and configuration.llm.enabled) as ask:
        yield Plan(
            path=wishes.path,
            recording=recording,
            conditions=_conditions(wishes, recording, pipeline, configuration, asks=ask is not None),
            pipeline=pipeline,
            ask=ask,
            retries=RetryPolicy(most=settings.ENVIRONMENT.llm_max_retry),
            limit_seconds=float("inf") if wishes.limit_seconds is None else wishes.limit_seconds,
        )


def _configuration(wishes: Wishes) -> ModelFile:
    """model_config.yaml, with other weights where they are named."""
    read: ModelFile = settings.MODEL_FILE
    if wishes.weights is None:
        return read
    return read.model_copy(update={"model": read.model.model_copy(update={"name": wishes.weights})})


@contextmanager
def _asking(wishes: Wishes, *, asks: bool) -> Iterator[Ask | None]:
    if not asks:
        yield None
        return
    load_template(settings.MODEL_FILE.llm.prompt_template, settings.ENVIRONMENT.language)
    if not wishes.simulate:
        yield find_ask()
        return
    with running_simulator() as simulator:
        client, seconds = load_client("dashscope", base_url=simulator.base_url), settings.ENVIRONMENT.llm_timeout
        yield functools.partial(client.ask, api_key=SIMULATED_KEY, timeout_seconds=seconds)


def _conditions(
    wishes: Wishes, recording: Recording, pipeline: FramePipeline, configuration: ModelFile, *, asks: bool
) -> Conditions:
    usual = default_interval(recording, frame_interval_seconds=settings.ENVIRONMENT.frame_interval)
    return Conditions(
        every_seconds=usual if wishes.every_seconds is None else wishes.every_seconds,
        detector=pipeline.detector.model,
        confidence_threshold=configuration.model.confidence_threshold,
        iou_threshold=configuration.model.iou_threshold,
        distance_threshold_px=configuration.post_processing.distance_threshold,
        cooldown_seconds=configuration.llm.cooldown_seconds
        if wishes.cooldown_seconds is None
        else wishes.cooldown_seconds,
        llm_model=settings.ENVIRONMENT.llm_model,
        asks=asks,
        simulated=asks and (wishes.simulate or settings.LLM_IS_SIMULATED),
        ask_from=configuration.llm.prior_threshold.ask,
    )


def prepare_folder(folder: Path) -> None:
    """Make sure that `folder` is there and can be written to; raises CannotAnalyseError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = {"path": folder, "reason": error.strerror}
        raise CannotAnalyseError(_("The report cannot be written to %(path)s: %(reason)s.") % reason) from None


def read_start(text: str) -> datetime:
    """An aware moment; one without a time zone is in that of the settings. Raises CannotAnalyseError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CannotAnalyseError(
            _("%(text)s is no moment: write it as 2026-05-04T12:00:00+08:00.") % {"text": text}
        ) from None
    return moment if moment.tzinfo else timezone.make_aware(moment)
