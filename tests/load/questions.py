"""Frames with questions about them, as detection would have stored them, many at once."""

from __future__ import annotations

import functools
import json
import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from django.conf import settings
from django.db import transaction

from assessment.assess import TURN
from assessment.clients.openai_compatible import messages_of
from assessment.clients.parts import MAX_OUTPUT_TOKENS, TEMPERATURE
from assessment.evidence import picture_keys, pictures_of
from assessment.judge import facts_of
from assessment.models import Assessment, FrameResult
from assessment.prompt import build_question
from assessment.showing import show
from cameras.frames import FrameStore, connect_redis
from cameras.models import Camera
from cameras.sources import encode_jpeg
from cameras.street import Street
from detection.packing import pack_detections, pack_groups
from tests.factories import make_frame
from trafficmon.core.clock import utc_now
from trafficmon.core.ids import new_token
from workers.pipeline import WakeUp
from workers.queues import Queue
from workers.tasks import send_wake_up

PICTURES = ("bench-before-2", "bench-before-1", "bench-frame")
URGENT_SHARE = 0.1


def keep_pictures(seconds: float) -> None:
    """Put a street's frame of 720p and two earlier ones of 640 px into the frame store, where all questions find
    them."""
    store = FrameStore(connect_redis(), keep_seconds=seconds)
    street = Street("junction", seed=1)
    for key, moment in zip(PICTURES, (10.0, 10.16, 10.32), strict=True):
        street.advance_to(moment)
        picture = street.render()
        small = np.asarray(cv2.resize(picture, (640, 360)), np.uint8)
        store.put(key, encode_jpeg(picture if key == PICTURES[-1] else small))


def ask(cameras: list[Camera], count: int) -> list[int]:
    """Store `count` frames with a question each, and send a wake-up for each; the questions."""
    now = utc_now()
    patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
    with transaction.atomic():
        rows = FrameResult.objects.bulk_create(_row(random.choice(cameras), now, patience) for _ in range(count))
        questions = Assessment.objects.bulk_create(
            Assessment(
                frame_result=row,
                camera_id=row.camera_id,
                group_index=1,
                urgent=random.random() < URGENT_SHARE,
                created_at=now,
                turn_at=now + number * TURN / len(cameras),
                next_at=now,
                deadline_at=row.deadline_at,
            )
            for number, row in enumerate(rows)
        )
    for each in questions:
        send_wake_up(WakeUp(Queue.ASSESS_URGENT if each.urgent else Queue.ASSESS, each.pk))
    return [each.pk for each in questions]


def write_requests(path: Path, count: int) -> None:
    """Write what the model is sent for such questions, as the OpenAI-compatible protocol has it: a list in JSON."""
    path.write_text(json.dumps([_request(number) for number in range(count)]))


def _request(number: int) -> dict[str, Any]:
    captured_at = utc_now() + timedelta(milliseconds=number)
    frame = replace(make_frame(1, captured_at=captured_at), burst=PICTURES[:2], evidence_key=PICTURES[-1])
    kept = FrameStore(connect_redis()).get_all(picture_keys(frame))
    shown = show(frame, 1, pictures_of(frame, 1, kept))
    model, language = settings.ENVIRONMENT.llm_model, settings.ENVIRONMENT.language
    template = settings.MODEL_FILE.llm.prompt_template
    question = build_question(
        facts_of(frame, 1, shown), shown.pictures, model=model, language=language, template=template
    )
    return {
        "messages": messages_of(question),
        "temperature": TEMPERATURE,
        "max_tokens": MAX_OUTPUT_TOKENS,
        "response_format": {"type": "json_object"},
    }


@functools.cache
def _seen() -> dict[str, Any]:
    """What every frame shows."""
    frame = make_frame(1)
    return {
        "width": frame.width,
        "height": frame.height,
        "detections": pack_detections(frame.detections),
        "traffic_groups": pack_groups(frame.groups),
        "process_seconds": frame.process_seconds,
        "model": frame.model,
    }


def _row(camera: Camera, now: datetime, patience: timedelta) -> FrameResult:
    captured_at = utc_now() - timedelta(milliseconds=random.randrange(300))
    return FrameResult(
        camera_id=camera.pk,
        frame_key=new_token(),
        captured_at=captured_at,
        detected_at=now,
        deadline_at=captured_at + patience,
        **_seen(),
        tracking_enabled=True,
        burst=list(PICTURES[:2]),
        evidence_key=PICTURES[-1],
        status="pending",
    )
