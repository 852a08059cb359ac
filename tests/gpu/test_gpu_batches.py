"""The ultralytics backend on a CUDA device; skipped where there is none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cameras.street import Street
from detection.backends import SAMPLE_DIR, load_detector
from detection.batching import BatchingDetector
from detection.configuration import DetectionConfiguration, ModelConfiguration
from detection.detections import Detection
from detection.detector import Detector
from trafficmon.core.geometry import intersection_over_union

torch = pytest.importorskip("torch", reason="requirements/detection.txt is not installed")

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def loaded(**settings: object) -> Detector:
    model = ModelConfiguration.model_validate({"name": str(SAMPLE_DIR / "trafficmon-sample.pt"), **settings})
    return load_detector(DetectionConfiguration(model=model), weights_dir=Path("weights"))


def has_partner(detection: Detection, others: tuple[Detection, ...]) -> bool:
    return detection.confidence < 0.4 or any(
        other.object_class == detection.object_class and intersection_over_union(other.box, detection.box) > 0.9
        for other in others
    )


@pytest.mark.parametrize("half_precision", [False, True])
def test_gpu_finds_in_batches_what_the_cpu_finds(half_precision: bool) -> None:
    street = Street("junction", seed=5)
    pictures = []
    for moment in range(10, 42, 2):
        street.advance_to(moment)
        pictures.append(street.render())
    gpu = loaded(device="cuda", half_precision=half_precision, batch_size=4)
    assert isinstance(gpu, BatchingDetector)
    cpu = loaded()
    with ThreadPoolExecutor(8) as threads:
        for picture, found in zip(pictures, threads.map(gpu.detect, pictures), strict=True):
            expected = cpu.detect(picture)
            assert len(expected) > 3
            assert [each for each in found if not has_partner(each, expected)] == []
            assert [each for each in expected if not has_partner(each, found)] == []
