"""Analyses for tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import cv2
import numpy as np

from assessment.clients import Answer
from assessment.judge import Judgement
from assessment.risk import AssessmentStatus, RiskLevel, RiskType, RiskVerdict
from tests.factories import NOON, make_frame
from workers.analysis.deriving import derive_alerts
from workers.analysis.findings import AnalysedFrame, Analysis, Assessed, Conditions, Recording

RECORDING = Recording("clip.mp4", 1280, 720, "h264", 25.0, 20.0, NOON)
CONDITIONS = Conditions(0.5, "fake", 0.35, 0.5, 150.0, 3.0, "qwen-vl-plus", asks=True, simulated=False)


def grey_jpeg(width: int = 1280, height: int = 720) -> bytes:
    _done, encoded = cv2.imencode(".jpg", np.full((height, width, 3), 128, np.uint8))
    return encoded.tobytes()


def make_judgement(level: RiskLevel, *, description: str) -> Judgement:
    verdict = RiskVerdict(1, level, RiskType.TAILGATING, description, 0.7, ("close", "fast"), 2, (1, 2))
    return Judgement(verdict, Answer("{}", "qwen-vl-plus", 900, 80, "request", 1.25), "default-v3/en@00000000")


def make_analysed(
    number: int, seconds: float, level: RiskLevel | None = None, *, reason: str = "", description: str = "Too close."
) -> AnalysedFrame:
    """A frame with one group; assessed when there is a level, failed when there is a reason."""
    frame = make_frame(0, groups=1, captured_at=NOON + timedelta(seconds=seconds))
    if level is None and not reason:
        return AnalysedFrame(number, seconds, frame, "the camera's cooldown has not passed")
    pending = Assessed(number, number, seconds, 1, AssessmentStatus.FAILED, reason, attempts=1)
    judgement = make_judgement(level, description=description) if level else None
    status = AssessmentStatus.DONE if level else AssessmentStatus.FAILED
    assessed = replace(pending, status=status, judgement=judgement, picture=grey_jpeg(64, 48))
    return AnalysedFrame(number, seconds, frame, "", (assessed,))


def make_analysis(frames: Sequence[AnalysedFrame], *, stopped: str = "", simulated: bool = False) -> Analysis:
    return Analysis(
        recording=RECORDING,
        conditions=replace(CONDITIONS, simulated=simulated),
        analysed_at=NOON,
        took_seconds=4.0,
        frames=tuple(frames),
        alerts=derive_alerts(frames),
        pictures={frame.number: grey_jpeg() for frame in frames},
        stopped=stopped,
    )
