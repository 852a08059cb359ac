"""How road users are said to move in the picture: through the tracker to the words that the model gets."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from assessment.clients import Answer, Question
from assessment.evidence import Pictures
from assessment.judge import judge
from cameras.sources import encode_jpeg
from detection.configuration import DetectionConfiguration, TrackingConfiguration
from detection.detect import FramePipeline, Shot, detect_frame
from detection.detections import DetectedFrame, Detection
from detection.detector import Picture
from detection.packing import pack_detections, unpack_detections
from detection.tracks import TrackerState, tracks_from_bytes
from tests.fakes import OneByOne
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZE = WIDTH, HEIGHT = 1000, 500
PICTURE = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
BURST, SPARSE = (0.0, 0.16, 0.32), (0.0, 1.8, 3.6)
ANSWER = Answer('{"results": [{"groupIndex": 0, "type": "other", "riskLevel": "none"}]}', "m", 1, 1, "r", 1.0)
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FrameRef:
    captured_at: datetime = NOON
    camera_id: int = 7
    frame_key: str = "7-1"
    burst: tuple[str, ...] = ()
    evidence_key: str = ""


class Script(OneByOne):
    """Finds one car, 60 by 40 px, wherever the next place is."""

    model = "script"

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = list(places)

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        x, y = self.places.pop(0)
        return (Detection(Box(x, y, x + 60, y + 40), ObjectClass.CAR, 0.9),)


def going(speed: Place, moments: Sequence[float], *, start: Place = (300, 200)) -> list[Place]:
    return [(start[0] + speed[0] * at, start[1] + speed[1] * at) for at in moments]


def detected(places: Sequence[Place], frames: Sequence[Sequence[float]], *, tracking: bool = True) -> DetectedFrame:
    """The last of `frames`, each the moments of the pictures of its burst that are detected; kept as in the fleet."""
    configuration = DetectionConfiguration(tracking=TrackingConfiguration(enabled=tracking, min_hits=1))
    pipeline = FramePipeline(Script(places), configuration)
    state, seen = TrackerState(), list[DetectedFrame]()
    for moments in frames:
        shots = [Shot(PICTURE, NOON + timedelta(seconds=at)) for at in moments]
        frame, state = detect_frame(shots, FrameRef(), pipeline=pipeline, tracks=state)
        state = tracks_from_bytes(state.to_bytes())
        seen.append(frame)
    return replace(seen[-1], detections=unpack_detections(pack_detections(seen[-1].detections)))


def told(frame: DetectedFrame) -> tuple[Any, Any]:
    """What the model reads of the one object's motion."""
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        return ANSWER

    judge(frame, 0, Pictures(encode_jpeg(PICTURE), SIZE), ask=ask)
    [scene] = re.findall(r"<scene>(.*?)</scene>", asked[0].text, re.DOTALL)
    [seen] = json.loads(scene)["objects"]
    return seen.get("motion"), seen.get("heightsPerSecond")


@pytest.mark.parametrize("speed", [(150, 0), (-150, 0), (90, -120)], ids=["right", "left", "away, to the right"])
def test_model_is_told_direction_and_speed_after_a_burst(speed: Place) -> None:
    motion, heights = told(detected(going(speed, BURST), [BURST]))
    assert motion == pytest.approx(speed, abs=15)
    # 150 px a second are 3.75 times its 40 px.
    assert heights[0] == pytest.approx(3.75, abs=0.35)
    assert 0 < heights[1] <= 0.5


def test_what_has_stood_since_the_frame_before_is_told_to_stand() -> None:
    frames = [(at,) for at in SPARSE]
    assert told(detected(going((0, 0), SPARSE[:2]), frames[:2])) == ([0, 0], [0.0, 0.14])
    assert told(detected(going((0, 0), SPARSE), frames)) == ([0, 0], [0.0, 0.07])


@pytest.mark.parametrize(
    ("places", "frames"),
    [
        (going((150, 0), (0,)), [(0,)]),
        (going((12, 0), SPARSE[:2]), [(0,), (1.8,)]),
        (going((150, 0), SPARSE), [(at,) for at in SPARSE]),
        (going((150, 0), BURST, start=(892, 200)), [BURST]),
    ],
    ids=["seen once", "creeps, seen rarely", "moves, seen too rarely to be followed", "cut off by the picture's edge"],
)
def test_motion_that_is_not_known_is_not_told(places: list[Place], frames: list[Sequence[float]]) -> None:
    assert told(detected(places, frames)) == (None, None)


def test_nothing_is_told_of_motion_without_tracking() -> None:
    assert told(detected(going((150, 0), BURST), [BURST], tracking=False)) == (None, None)
