"""How fast each backend detects: with one caller, with several, and in batches.

All take turns, round after round, so that all see the same load of the machine.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

from detection.backends import load_detector
from detection.configuration import DetectionConfiguration, ModelConfiguration
from detection.detector import Detector, DetectorError, Picture, warm_up

ROUNDS, FRAMES_A_ROUND = 7, 24
CALLERS, BATCH = (1, 2, 4), 8

Way = Callable[[Sequence[Picture]], object]


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over the rounds: frames a second, and milliseconds of CPU that all cores spent on a frame."""

    frames_per_second: float
    cpu_milliseconds: float


def compare_speed(weights: str, pictures: Sequence[Picture]) -> dict[str, Speed]:
    """The speed of each way to detect, by its name, such as `openvino, 2 callers`."""
    chosen = pictures[:FRAMES_A_ROUND]
    ways = dict(_ways(weights, chosen[0]))
    rounds: dict[str, list[Speed]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, detect in ways.items():
            rounds[name].append(_time(detect, chosen))
    return {name: _median(speeds) for name, speeds in rounds.items()}


def ratio_to_library(speeds: dict[str, Speed]) -> float | None:
    """How many times the frames of the library's own loop our fastest way does; None where one of both is missing."""
    ours = [speed.frames_per_second for name, speed in speeds.items() if name.startswith("openvino")]
    library = speeds.get("ultralytics, 1 caller")
    return round(max(ours) / library.frames_per_second, 2) if ours and library else None


def _ways(weights: str, picture: Picture) -> Iterator[tuple[str, Way]]:
    height, width = picture.shape[:2]
    for backend in ("openvino", "ultralytics"):
        try:
            detector = load_detector(configured(weights, backend), weights_dir=Path())
        except DetectorError as error:
            sys.stderr.write(f"{error}\n")
            continue
        warm_up(detector, width=width, height=height)
        # The library's predictor keeps state between steps: its callers would only take turns.
        for callers in CALLERS if backend == "openvino" else (1,):
            yield f"{backend}, {callers} caller{'s' * (callers > 1)}", partial(_call, detector, callers)
        if backend == "ultralytics":
            yield f"{backend}, batches of {BATCH}", partial(_batch, detector)


def configured(weights: str, backend: str) -> DetectionConfiguration:
    """The configuration everyone starts with, for these weights."""
    return DetectionConfiguration(model=ModelConfiguration.model_validate({"name": weights, "backend": backend}))


def _call(detector: Detector, callers: int, pictures: Sequence[Picture]) -> None:
    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(detector.detect, pictures))


def _batch(detector: Detector, pictures: Sequence[Picture]) -> None:
    for first in range(0, len(pictures), BATCH):
        detector.detect_many(pictures[first : first + BATCH])


def _time(detect: Way, pictures: Sequence[Picture]) -> Speed:
    wall, cpu = perf_counter(), process_time()
    detect(pictures)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    return Speed(len(pictures) / wall, 1000 * cpu / len(pictures))


def _median(speeds: Sequence[Speed]) -> Speed:
    return Speed(
        round(statistics.median(each.frames_per_second for each in speeds), 1),
        round(statistics.median(each.cpu_milliseconds for each in speeds), 1),
    )
