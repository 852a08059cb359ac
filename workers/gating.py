"""The gate with all that it looks up, as the fleet runs it."""

from __future__ import annotations

import functools
import random
from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings

from assessment.clients import UnableToAssess
from assessment.cooldown import is_due, take_turn
from assessment.gate import Circumstances, Gated, GateRules, gate
from assessment.judged_lately import judged_lately
from assessment.models import Assessment
from assessment.repeats import JudgedGroup
from assessment.service_level import current_ladder, seconds_until_key
from cameras.frames import connect_redis
from cameras.models import Camera
from detection.detections import DetectedFrame
from trafficmon.core.clock import utc_now

log = structlog.get_logger()

MOMENT = timedelta(seconds=1)
"""For so long a question may be in line though workers and keys are free."""


def gate_frame(camera: Camera, frame: DetectedFrame) -> Gated:
    """What becomes of each group of the frame."""
    configuration = settings.MODEL_FILE.llm
    rules = GateRules(
        enabled=configuration.enabled and camera.assessment_enabled,
        level=current_ladder().level,
        ask_from=configuration.prior_threshold.ask,
        medium_from=configuration.prior_threshold.medium,
        sample_share=configuration.sample_share,
        reuse_overlap=configuration.reuse_overlap,
    )
    cooldown = {"cooldown_seconds": configuration.cooldown_seconds}
    circumstances = Circumstances(
        is_due=functools.partial(is_due, connect_redis(), camera.pk, **cooldown),
        take_turn=functools.partial(take_turn, connect_redis(), camera.pk, **cooldown),
        judged_lately=functools.partial(_judged_lately, frame, configuration.reuse_seconds),
        has_room=_has_room,
        roll=random.random,
    )
    return gate(frame, rules, circumstances)


def _judged_lately(frame: DetectedFrame, seconds: float) -> tuple[JudgedGroup, ...]:
    if not seconds:
        return ()
    return judged_lately(frame.camera_id, since=frame.captured_at - timedelta(seconds=seconds))


def _has_room() -> bool:
    """Whether some key may be used now, and no question has been in line for one since a moment."""
    try:
        return seconds_until_key(settings.ENVIRONMENT.llm_model) == 0 and not _is_line_long(utc_now())
    except (UnableToAssess, redis.RedisError) as error:
        log.info("gate.room_unknown", error=str(error))
        return False


def _is_line_long(now: datetime) -> bool:
    return Assessment.objects.in_line(now).filter(created_at__lte=now - MOMENT).exists()
