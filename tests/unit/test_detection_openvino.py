"""The openvino backend on networks of a few nodes, whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13 as ops

from detection.backends import load_detector
from detection.configuration import DetectionConfiguration, ModelConfiguration
from detection.detections import Detection
from detection.detector import Picture
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

NAMES = "names: {0: cat, 1: person, 2: traffic light}\nstride: 32\n"
RAW = np.array([[[50, 300], [30, 30], [20, 20], [10, 10], [0, 0], [0, 0], [0, 0]]], dtype=np.float32)
"""Two anchors as centre, width, height and three class scores: 1 x (4 + 3) x 2."""
FINISHED = np.array([[[40, 25, 60, 35, 0, 2], [0, 0, 9, 9, 0.9, 0], [1, 1, 9, 9, 0.1, 1]]], dtype=np.float32)
"""Three rows of corners, score and class: 1 x 3 x 6."""


def at(shape: tuple[int, ...], *place: int) -> NDArray[np.float32]:
    mask = np.zeros(shape, dtype=np.float32)
    mask[place] = 1
    return mask


def write_weights(
    folder: Path, *, size: int, measured: str, answer: NDArray[np.float32], place: tuple[int, ...]
) -> Path:
    """A network that answers `answer`, with the share of red or the height / 1000 of its input added at `place`."""
    folder.mkdir()
    picture = ops.parameter([1, 3, size, size], openvino.Type.f32)
    if measured == "red":
        red = ops.gather(picture, ops.constant(0), ops.constant(1))
        value = ops.reduce_mean(red, ops.constant([0, 1, 2]))
    else:
        height = ops.gather(ops.shape_of(picture), ops.constant(2), ops.constant(0))
        value = ops.divide(ops.convert(height, "f32"), ops.constant(np.float32(1000)))
    output = ops.add(ops.constant(answer), ops.multiply(ops.constant(at(answer.shape, *place)), value))
    openvino.save_model(openvino.Model([output], [picture]), str(folder / "tiny.xml"), compress_to_fp16=False)
    (folder / "metadata.yaml").write_text(NAMES)
    return folder


def detected(folder: Path, picture: Picture) -> tuple[Detection, ...]:
    model = ModelConfiguration(name=str(folder), image_size=320)
    return load_detector(DetectionConfiguration(model=model), weights_dir=folder.parent).detect(picture)


def coloured(width: int, height: int, bgr: tuple[int, int, int]) -> Picture:
    return np.full((height, width, 3), bgr, dtype=np.uint8)


def test_raw_head_is_read_in_pixels_of_the_picture(tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "tiny_openvino_model", size=64, measured="red", answer=RAW, place=(0, 5, 0))
    (found,) = detected(folder, coloured(128, 128, (0, 0, 204)))
    assert (found.box, found.object_class) == (Box(80, 50, 120, 70), ObjectClass.PERSON)
    assert found.confidence == pytest.approx(0.8, abs=0.005)


def test_finished_head_is_read_without_suppressing_again(tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "tiny_openvino_model", size=64, measured="red", answer=FINISHED, place=(0, 0, 4))
    (found,) = detected(folder, coloured(64, 64, (0, 0, 153)))
    assert (found.box, found.object_class) == (Box(40, 25, 60, 35), ObjectClass.TRAFFIC_LIGHT)
    assert found.confidence == pytest.approx(0.6, abs=0.005)


def test_blue_is_not_taken_for_red(tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "tiny_openvino_model", size=64, measured="red", answer=RAW, place=(0, 5, 0))
    assert detected(folder, coloured(64, 64, (255, 255, 0))) == ()


@pytest.mark.parametrize(("width", "height", "input_height"), [(640, 640, 320), (640, 360, 192), (320, 640, 320)])
def test_network_of_any_size_is_given_no_more_padding_than_its_stride_needs(
    width: int, height: int, input_height: int, tmp_path: Path
) -> None:
    folder = write_weights(tmp_path / "any_openvino_model", size=-1, measured="height", answer=RAW, place=(0, 6, 0))
    model = ModelConfiguration(name=str(folder), image_size=320, confidence_threshold=0.1)
    detector = load_detector(DetectionConfiguration(model=model), weights_dir=tmp_path)
    (found,) = detector.detect(coloured(width, height, (0, 0, 0)))
    assert found.confidence == pytest.approx(input_height / 1000, abs=0.001)


def test_network_of_one_size_is_given_that_size_whatever_is_configured(tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "fixed_openvino_model", size=640, measured="height", answer=RAW, place=(0, 6, 0))
    (found,) = detected(folder, coloured(640, 360, (0, 0, 0)))
    assert found.confidence == pytest.approx(0.64, abs=0.001)


def test_model_is_named_after_its_weights(tmp_path: Path) -> None:
    folder = write_weights(tmp_path / "roads_openvino_model", size=64, measured="red", answer=RAW, place=(0, 5, 0))
    for name in (folder, folder / "tiny.xml"):
        configuration = DetectionConfiguration(model=ModelConfiguration(name=str(name)))
        assert load_detector(configuration, weights_dir=tmp_path).model == name.stem.removesuffix("_openvino_model")
