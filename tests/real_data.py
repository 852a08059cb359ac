"""Clips and weights that are not part of the project; tests that need them skip, saying so, where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"

CLIPS = _SHARED / "data" / "clips"
JUNCTION = CLIPS / "junction-cars-cyclist.mp4"
JUNCTION_REFERENCE = CLIPS / "junction-cars-cyclist.otdet.bz2"
OVERHEAD = CLIPS / "overhead-road.mp4"
WEIGHTS = _SHARED / "models" / "yolo11n_int8_openvino_model"


def needed(path: Path) -> Path:
    """`path`, or the test is skipped and says what is missing."""
    if not path.exists():
        pytest.skip(f"real data absent: ../shared/{path.relative_to(_SHARED)}")
    return path
