"""Real batches of the ultralytics backend: the same findings as one by one, and memory that runs out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs

from cameras.street import Street
from detection.backends import SAMPLE_DIR, load_detector
from detection.batching import BatchingDetector
from detection.configuration import DetectionConfiguration, ModelConfiguration
from detection.detections import Detection
from detection.detector import Detector, DetectorOutOfMemoryError, Picture

torch = pytest.importorskip("torch", reason="requirements/detection.txt is not installed")

TOLERANCE_PX = 0.5
"""Kernels for several pictures add up in another order; measured differences stay below a hundredth of this."""


@pytest.fixture(scope="module")
def detector() -> Detector:
    model = ModelConfiguration(name=str(SAMPLE_DIR / "trafficmon-sample.pt"))
    return load_detector(DetectionConfiguration(model=model), weights_dir=Path("weights"))


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    """Streets at several moments, in three sizes that the detector's input takes in two shapes."""
    street = Street("junction", seed=5)
    shown = []
    for moment, size in ((10, (1280, 720)), (12, (640, 480)), (14, (1280, 720)), (16, (800, 450)), (18, (640, 480))):
        street.advance_to(moment)
        shown.append(np.asarray(cv2.resize(street.render(), size), np.uint8))
    return shown


def assert_same(ours: tuple[Detection, ...], theirs: tuple[Detection, ...]) -> None:
    assert [each.object_class for each in ours] == [each.object_class for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=0.002)
        assert one.box.as_tuple() == pytest.approx(other.box.as_tuple(), abs=TOLERANCE_PX)


def test_batch_of_several_sizes_finds_what_each_picture_shows_alone(
    detector: Detector, pictures: list[Picture]
) -> None:
    together = detector.detect_many(pictures)
    assert min(map(len, together)) > 3
    for found, picture in zip(together, pictures, strict=True):
        assert_same(found, detector.detect(picture))


def test_threads_that_ask_at_once_get_what_their_pictures_show_alone(
    detector: Detector, pictures: list[Picture]
) -> None:
    batching = BatchingDetector(detector, most=4, wait_seconds=0.05)
    with ThreadPoolExecutor(len(pictures)) as threads:
        for found, picture in zip(threads.map(batching.detect, pictures), pictures, strict=True):
            assert_same(found, detector.detect(picture))


class SmallMemory:
    """The model of the detector, on a device that runs out of memory, as torch says it, beyond `most` pictures."""

    def __init__(self, model: Any, *, most: int) -> None:
        self.model = model
        self.most = most

    def predict(self, pictures: list[Picture], **options: Any) -> Any:
        if len(pictures) > self.most:
            message = "CUDA out of memory. Tried to allocate 2.00 GiB."
            raise torch.cuda.OutOfMemoryError(message)
        return self.model.predict(pictures, **options)


def test_batch_that_runs_out_of_memory_is_halved_and_goes_on_saying_so(
    detector: Any, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    same_size = [pictures[0]] * 5
    alone = detector.detect(pictures[0])
    monkeypatch.setattr(detector, "_model", SmallMemory(detector._model, most=2))
    batching = BatchingDetector(detector, most=8, wait_seconds=0)
    with capture_logs() as said:
        together = batching.detect_many(same_size)
    assert len(together) == 5
    for found in together:
        assert_same(found, alone)
    warnings = [each for each in said if each["event"] == "detector.out_of_memory"]
    assert [(each["batch"], each["next_batch"]) for each in warnings] == [(5, 2)]


def test_picture_that_is_too_large_alone_is_an_error_that_names_the_device(
    detector: Any, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "_model", SmallMemory(detector._model, most=0))
    with pytest.raises(DetectorOutOfMemoryError, match="cpu has no memory for 1 pictures at once"):
        BatchingDetector(detector, most=8, wait_seconds=0).detect(pictures[0])
