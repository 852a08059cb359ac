"""Questions to the model's simulator, as requests of its native protocol."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import requests

from assessment.prompt import GroupFacts, GroupOutline, ObjectFacts, build_question
from assessment.simulator import RunningSimulator
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

PATH = "services/aigc/multimodal-generation/generation"
BLANK = np.zeros((360, 640, 3), np.uint8)
JPEG = cv2.imencode(".jpg", BLANK)[1].tobytes()


def uri(picture: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def facts(*objects: tuple[ObjectClass, Box], tracks: int = 0) -> GroupFacts:
    found = tuple(ObjectFacts(at, kind, box, 0.9, tracks + at) for at, (kind, box) in enumerate(objects))
    outline = GroupOutline(1, Box(0, 0, 640, 360), tuple(range(len(found))))
    return GroupFacts(640, 360, datetime(2026, 11, 21, tzinfo=UTC), found, (outline,), asked=1)


NEAR_PEDESTRIAN = ((ObjectClass.PERSON, Box(150, 100, 170, 160)), (ObjectClass.CAR, Box(110, 90, 220, 160)))


def body(*, language: str = "en", **changes: Any) -> dict[str, Any]:
    asked = build_question(facts(*NEAR_PEDESTRIAN), [], model="m", language=language, template="default-v3")
    request: dict[str, Any] = {
        "model": "qwen-vl-plus",
        "input": {
            "messages": [
                {"role": "system", "content": [{"text": asked.system}]},
                {"role": "user", "content": [{"image": uri(JPEG)}, {"text": asked.text}]},
            ]
        },
        "parameters": {"response_format": {"type": "json_object"}},
    }
    return copy.deepcopy({**request, **changes})


def post(simulator: RunningSimulator, request: object, *, key: str = "sk-1", **headers: str) -> requests.Response:
    sent = {"Authorization": f"Bearer {key}", **headers}
    return requests.post(f"{simulator.base_url}/{PATH}", json=request, headers=sent, timeout=30)
