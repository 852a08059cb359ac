"""Both detection backends on real weights: they agree, and they say what is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameras.sources import encode_jpeg
from cameras.street import Street
from detection.backends import SAMPLE_DIR, load_detector
from detection.configuration import ClassesConfiguration, DetectionConfiguration, ModelConfiguration
from detection.detect import read_picture, read_shot
from detection.detections import Detection, count_by_class
from detection.detector import BackendUnavailableError, Detector, Picture, WeightsNotFoundError, WeightsUnusableError
from tests.factories import NOON
from tests.real_data import WEIGHTS, needed
from trafficmon.core.geometry import intersection_over_union
from trafficmon.core.objects import ObjectClass

pytest.importorskip("ultralytics", reason="requirements/detection.txt is not installed")

YOLO11N = WEIGHTS
SAMPLE = SAMPLE_DIR / "trafficmon-sample_openvino_model"


def photograph(name: str) -> Picture:
    from ultralytics.utils import ASSETS

    return np.asarray(cv2.imread(str(ASSETS / name)), dtype=np.uint8)


def loaded(weights: Path, backend: str, **settings: float | str) -> Detector:
    model = ModelConfiguration.model_validate({"name": str(weights), "backend": backend, **settings})
    return load_detector(DetectionConfiguration(model=model), weights_dir=Path("weights"))


def assert_same(ours: tuple[Detection, ...], theirs: tuple[Detection, ...]) -> None:
    assert [each.object_class for each in ours] == [each.object_class for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=0.005)
        assert one.box.as_tuple() == pytest.approx(other.box.as_tuple(), abs=1.0)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["bus.jpg", "zidane.jpg"])
@pytest.mark.parametrize("confidence", [0.05, 0.35])
def test_backends_agree_on_photographs(name: str, confidence: float) -> None:
    weights = needed(YOLO11N)
    picture = photograph(name)
    ours = loaded(weights, "openvino", confidence_threshold=confidence, rectangular=False).detect(picture)
    theirs = loaded(weights, "ultralytics", confidence_threshold=confidence).detect(picture)
    assert len(ours) >= 2
    assert_same(ours, theirs)


def test_network_made_narrower_sees_what_one_of_that_shape_sees() -> None:
    """The bundled network takes 640 x 384; of a tall picture it is left 320 x 384, which torch takes by itself."""
    street = Street("junction", seed=5)
    street.advance_to(10)
    tall = np.ascontiguousarray(street.render()[:, 300:900])
    ours = loaded(SAMPLE, "openvino").detect(tall)
    theirs = loaded(SAMPLE_DIR / "trafficmon-sample.pt", "ultralytics", image_size=384).detect(tall)
    assert len(ours) > 3
    assert [each for each in ours if not has_partner(each, theirs)] == []
    assert [each for each in theirs if not has_partner(each, ours)] == []


def test_pictures_of_more_shapes_than_are_worth_a_network_are_seen_too() -> None:
    detector = loaded(SAMPLE, "openvino")
    street = Street("junction", seed=5)
    street.advance_to(10)
    widths = [int(1280 * share) for share in (1, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)]
    assert [bool(detector.detect(np.ascontiguousarray(street.render()[:, :width]))) for width in widths] == [True] * 7


def test_backends_agree_with_the_bundled_weights() -> None:
    """Float weights run in bfloat16 where the processor has it, so scores differ by a little between two builds."""
    street = Street("junction", seed=5)
    street.advance_to(10)
    ours = loaded(SAMPLE, "openvino").detect(street.render())
    theirs = loaded(SAMPLE, "ultralytics").detect(street.render())
    assert len(ours) > 5
    assert [each for each in ours if not has_partner(each, theirs)] == []
    assert [each for each in theirs if not has_partner(each, ours)] == []


def has_partner(detection: Detection, others: tuple[Detection, ...]) -> bool:
    """Whether another is the same within tolerance; what is hardly above the threshold may be missing.

    Where the processor has bfloat16, a box of 17 x 31 px was seen to lie 0.75 px off: that is an overlap of 0.946.
    """
    return detection.confidence < 0.4 or any(
        other.object_class == detection.object_class
        and intersection_over_union(other.box, detection.box) > 0.9
        and abs(other.confidence - detection.confidence) < 0.03
        for other in others
    )


def test_pictures_read_no_larger_than_needed_show_the_same() -> None:
    """Workers decode a JPEG at half its size where the detector looks at no more."""
    detector, confident, shared = loaded(SAMPLE, "openvino"), 0, 0
    for seed in range(1, 9):
        street = Street("junction", seed=seed)
        street.advance_to(10)
        jpeg = encode_jpeg(street.render())
        shot = read_shot(jpeg, NOON, least_width=640)
        assert shot.picture.shape == (360, 640, 3)
        whole = detector.detect(read_picture(jpeg))
        halved = tuple(replace(each, box=each.box.scaled(2, 2)) for each in detector.detect(shot.picture))
        for some, others in ((whole, halved), (halved, whole)):
            sure = [each for each in some if each.confidence >= 0.5]
            confident += len(sure)
            shared += sum(overlaps_one(each, others) for each in sure)
    assert confident > 200
    assert shared / confident > 0.97


def overlaps_one(detection: Detection, others: tuple[Detection, ...]) -> bool:
    return any(
        other.object_class == detection.object_class and intersection_over_union(other.box, detection.box) > 0.5
        for other in others
    )


@pytest.mark.real_data
@pytest.mark.parametrize("backend", ["openvino", "ultralytics"])
def test_photograph_of_a_bus_shows_a_bus_and_its_people(backend: str) -> None:
    detector = loaded(needed(YOLO11N), backend)
    assert detector.model == "yolo11n_int8"
    assert count_by_class(detector.detect(photograph("bus.jpg"))) == {ObjectClass.BUS: 1, ObjectClass.PERSON: 4}


@pytest.mark.real_data
@pytest.mark.parametrize("backend", ["openvino", "ultralytics"])
def test_detector_keeps_to_classes_and_number_asked_for(backend: str) -> None:
    model = ModelConfiguration.model_validate({"name": str(needed(YOLO11N)), "backend": backend, "max_det": 2})
    configuration = DetectionConfiguration(model=model, classes=ClassesConfiguration(include=(ObjectClass.PERSON,)))
    found = load_detector(configuration, weights_dir=Path("weights")).detect(photograph("bus.jpg"))
    assert [each.object_class for each in found] == [ObjectClass.PERSON] * 2
    assert found[0].confidence >= found[1].confidence


@pytest.mark.real_data
@pytest.mark.parametrize("backend", ["openvino", "ultralytics"])
def test_detector_answers_each_thread_about_its_own_picture(backend: str) -> None:
    detector = loaded(needed(YOLO11N), backend)
    pictures = [photograph("bus.jpg"), photograph("zidane.jpg"), np.full((480, 640, 3), 90, dtype=np.uint8)] * 4
    alone = [detector.detect(each) for each in pictures]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(detector.detect, pictures)) == alone


def test_openvino_backend_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = "import sys, detection.backends.openvino; print(sorted({'torch', 'ultralytics'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_missing_weights_of_unknown_name_are_refused_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"my-roads\.pt is missing: put the file there"):
        loaded(tmp_path / "my-roads.pt", "auto")


def test_known_weights_that_cannot_be_downloaded_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detection.backends import ultralytics

    def offline(path: Path) -> None:
        raise ConnectionError(path)

    monkeypatch.setattr(ultralytics, "attempt_download_asset", offline)
    with pytest.raises(WeightsNotFoundError, match=r"could not be downloaded: copy yolo11n\.pt there") as refusal:
        loaded(tmp_path / "deep" / "yolo11n.pt", "auto")
    assert str(tmp_path / "deep" / "yolo11n.pt") in str(refusal.value)


def test_file_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "roads.pt"
    weights.write_bytes(b"no weights")
    with pytest.raises(WeightsUnusableError, match=r"roads\.pt cannot be loaded by ultralytics"):
        loaded(weights, "auto")


def test_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match=r"finds no cuda:99 here"):
        loaded(tmp_path / "roads.pt", "ultralytics", device="cuda:99")
