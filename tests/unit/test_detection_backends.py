from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detection.backends import SAMPLE_DIR, chosen_backend, find_weights, load_detector
from detection.backends.classes import kept_classes
from detection.backends.letterbox import boxes_in_picture, fit_picture, letterbox
from detection.backends.suppression import (
    Candidates,
    Thresholds,
    read_finished_head,
    read_raw_head,
    suppress,
)
from detection.configuration import DetectionConfiguration, ModelConfiguration
from detection.detector import BackendUnavailableError, WeightsNotFoundError, WeightsUnusableError
from trafficmon.core.geometry import Box, intersection_over_union
from trafficmon.core.objects import ObjectClass

USUAL = Thresholds(confidence=0.35, iou=0.5, max_det=200)


def configured(name: str, backend: str = "auto", device: str = "cpu") -> DetectionConfiguration:
    model = ModelConfiguration.model_validate({"name": name, "backend": backend, "device": device})
    return DetectionConfiguration(model=model)


@pytest.mark.parametrize(
    ("name", "backend", "expected"),
    [
        ("roads_openvino_model", "auto", "openvino"),
        ("roads.xml", "auto", "openvino"),
        ("roads.pt", "auto", "ultralytics"),
        ("roads.onnx", "auto", "ultralytics"),
        ("roads.engine", "auto", "ultralytics"),
        ("roads_openvino_model", "ultralytics", "ultralytics"),
        ("sample", "auto", "openvino"),
    ],
)
def test_backend_goes_by_the_weights_unless_one_is_named(
    name: str, backend: str, expected: str, tmp_path: Path
) -> None:
    configuration = configured(name, backend)
    assert chosen_backend(configuration, find_weights(configuration, weights_dir=tmp_path)) == expected


def test_weights_are_found_in_the_weights_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    configuration = configured("roads.pt")
    assert find_weights(configuration, weights_dir=folder) == folder / "roads.pt"
    (tmp_path / "roads.pt").touch()
    assert find_weights(configuration, weights_dir=folder) == Path("roads.pt")
    (folder / "roads.pt").touch()
    assert find_weights(configuration, weights_dir=folder) == folder / "roads.pt"
    assert find_weights(configured("/elsewhere/roads.pt"), weights_dir=folder) == Path("/elsewhere/roads.pt")


@pytest.mark.parametrize(
    ("backend", "device", "expected"),
    [
        ("auto", "cpu", "trafficmon-sample_openvino_model"),
        ("openvino", "cpu", "trafficmon-sample_openvino_model"),
        ("ultralytics", "cpu", "trafficmon-sample.pt"),
        ("auto", "cuda", "trafficmon-sample.pt"),
    ],
)
def test_sample_weights_are_the_bundled_ones(backend: str, device: str, expected: str, tmp_path: Path) -> None:
    assert find_weights(configured("sample", backend, device), weights_dir=tmp_path) == SAMPLE_DIR / expected


def test_missing_openvino_weights_are_refused_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"roads_openvino_model is missing") as refusal:
        load_detector(configured("roads_openvino_model"), weights_dir=tmp_path)
    assert str(tmp_path / "roads_openvino_model") in str(refusal.value)


def test_openvino_weights_without_their_numbers_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "roads_openvino_model"
    folder.mkdir()
    (folder / "roads.xml").touch()
    with pytest.raises(WeightsNotFoundError, match=r"roads\.bin is missing"):
        load_detector(configured("roads_openvino_model"), weights_dir=tmp_path)


def test_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "roads_openvino_model").mkdir()
    with pytest.raises(WeightsUnusableError, match=r"holds 0 OpenVINO \.xml files"):
        load_detector(configured("roads_openvino_model"), weights_dir=tmp_path)


@pytest.mark.parametrize("metadata", [None, "", "names: 3", "- a list", "names: {0: car}\ntask: segment", "a: [b"])
def test_openvino_weights_without_usable_metadata_are_refused(metadata: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "roads_openvino_model"
    folder.mkdir()
    (folder / "roads.xml").touch()
    (folder / "roads.bin").touch()
    if metadata is not None:
        (folder / "metadata.yaml").write_text(metadata)
    with pytest.raises(WeightsUnusableError):
        load_detector(configured("roads_openvino_model"), weights_dir=tmp_path)


def test_openvino_network_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "roads_openvino_model"
    folder.mkdir()
    (folder / "roads.xml").write_text("<no/>")
    (folder / "roads.bin").touch()
    (folder / "metadata.yaml").write_text("names: {0: car}")
    with pytest.raises(WeightsUnusableError, match=r"not a network OpenVINO"):
        load_detector(configured("roads_openvino_model"), weights_dir=tmp_path)


def test_openvino_refuses_a_device_it_does_not_run_on(tmp_path: Path) -> None:
    (tmp_path / "roads_openvino_model").mkdir()
    with pytest.raises(BackendUnavailableError, match=r"runs on the cpu, not on cuda:0"):
        load_detector(configured("roads_openvino_model", device="cuda:0"), weights_dir=tmp_path)


def test_class_names_are_mapped_and_unknown_ones_dropped() -> None:
    names = {0: "person", 2: "Car", 9: "traffic light", 11: "stop sign", 15: "cat"}
    assert kept_classes(names, ObjectClass, weights=Path("w")) == {
        0: ObjectClass.PERSON,
        2: ObjectClass.CAR,
        9: ObjectClass.TRAFFIC_LIGHT,
        11: ObjectClass.STOP_SIGN,
    }


def test_classes_not_included_are_dropped() -> None:
    assert kept_classes({0: "person", 2: "car"}, [ObjectClass.CAR], weights=Path("w")) == {2: ObjectClass.CAR}


def test_weights_that_know_no_wanted_class_are_refused() -> None:
    with pytest.raises(WeightsUnusableError, match=r"cats\.pt knows none of the classes car"):
        kept_classes({0: "cat"}, [ObjectClass.CAR], weights=Path("cats.pt"))


sizes = st.tuples(st.integers(1, 4000), st.integers(1, 3000))


@given(sizes, st.sampled_from([(640, 640), (640, 384), (320, 320)]))
def test_fit_fills_the_input_exactly(picture: tuple[int, int], target: tuple[int, int]) -> None:
    fit = fit_picture(picture, target)
    assert (fit.left + fit.width + fit.right, fit.top + fit.height + fit.bottom) == target
    assert abs(fit.left - fit.right) <= 1
    assert abs(fit.top - fit.bottom) <= 1


@given(sizes)
def test_fit_with_a_stride_pads_to_its_next_multiple(picture: tuple[int, int]) -> None:
    fit = fit_picture(picture, (640, 640), stride=32)
    for inside, total in (
        (fit.width, fit.left + fit.width + fit.right),
        (fit.height, fit.top + fit.height + fit.bottom),
    ):
        assert total % 32 == 0
        assert 0 <= total - inside < 32


@given(st.tuples(st.integers(40, 3000), st.integers(40, 3000)), st.floats(0, 1), st.floats(0, 1))
def test_boxes_come_back_to_where_they_were_in_the_picture(size: tuple[int, int], x: float, y: float) -> None:
    fit = fit_picture(size, (640, 640))
    in_input = np.array([[0, 0, fit.width * x, fit.height * y]], dtype=np.float32)
    in_input += np.array([fit.left, fit.top, fit.left, fit.top], dtype=np.float32)
    back = boxes_in_picture(in_input, fit)
    assert np.allclose(back, [[0, 0, size[0] * x, size[1] * y]], atol=0.02 * max(size) / 100 + 0.01)


def test_boxes_beyond_the_picture_are_clipped_to_it() -> None:
    fit = fit_picture((320, 160), (640, 640))
    boxes = boxes_in_picture(np.array([[-50, 0, 700, 640]], dtype=np.float32), fit)
    assert boxes.tolist() == [[0, 0, 320, 160]]


def test_letterbox_centres_the_picture_on_grey() -> None:
    padded = letterbox(np.full((160, 320, 3), 200, dtype=np.uint8), fit_picture((320, 160), (640, 640)))
    assert padded.shape == (640, 640, 3)
    assert (padded[:160] == 114).all()
    assert (padded[160:480] == 200).all()
    assert (padded[480:] == 114).all()


def test_raw_head_gives_corners_and_the_best_class_of_sure_anchors() -> None:
    output = np.array([[50, 9], [40, 9], [20, 9], [10, 9], [0.1, 0.2], [0.9, 0.3]], dtype=np.float32)
    candidates = read_raw_head(output, USUAL)
    assert candidates.boxes.tolist() == [[40, 35, 60, 45]]
    assert candidates.scores.tolist() == [np.float32(0.9)]
    assert candidates.labels.tolist() == [1]


def test_finished_head_gives_its_sure_rows() -> None:
    output = np.array([[1, 2, 3, 4, 0.9, 2], [1, 2, 3, 4, 0.35, 0]], dtype=np.float32)
    candidates = read_finished_head(output, Thresholds(confidence=0.4, iou=0.5, max_det=200))
    assert candidates.boxes.tolist() == [[1, 2, 3, 4]]
    assert candidates.labels.tolist() == [2]


def candidates_of(*rows: tuple[tuple[float, float, float, float], float, int]) -> Candidates:
    boxes: NDArray[np.float32] = np.array([box for box, _, _ in rows], dtype=np.float32).reshape(-1, 4)
    scores = np.array([score for _, score, _ in rows], dtype=np.float32)
    return Candidates(boxes, scores, np.array([label for _, _, label in rows], dtype=np.intp))


def test_suppression_keeps_the_surest_of_overlapping_boxes_of_a_class() -> None:
    kept = suppress(candidates_of(((0, 0, 10, 10), 0.5, 1), ((1, 0, 11, 10), 0.9, 1), ((0, 0, 10, 9), 0.7, 2)), USUAL)
    assert kept.labels.tolist() == [1, 2]
    assert kept.boxes[0].tolist() == [1, 0, 11, 10]


def test_suppression_keeps_boxes_that_overlap_exactly_as_much_as_allowed() -> None:
    kept = suppress(candidates_of(((0, 0, 10, 10), 0.9, 1), ((0, 0, 10, 5), 0.8, 1)), USUAL)
    assert len(kept.scores) == 2


def test_suppression_stops_at_the_greatest_number_of_detections() -> None:
    many = candidates_of(*(((20.0 * n, 0, 20.0 * n + 10, 10), 0.5 + n / 100, 0) for n in range(10)))
    kept = suppress(many, Thresholds(confidence=0.35, iou=0.5, max_det=3))
    assert np.allclose(kept.scores, [0.59, 0.58, 0.57])


rows = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(41, 80), st.integers(41, 80)).map(
            lambda box: tuple(map(float, box))
        ),
        st.integers(36, 99).map(lambda percent: percent / 100),
        st.integers(0, 2),
    ),
    max_size=20,
    unique_by=lambda row: row[1],
)


def greedy(found: Sequence[tuple[tuple[float, ...], float, int]], allowed: float) -> list[tuple[float, int]]:
    """The textbook loop, box by box."""
    kept: list[tuple[tuple[float, ...], float, int]] = []
    for box, score, label in sorted(found, key=lambda row: -row[1]):
        rivals = (other for other, _, kind in kept if kind == label)
        if all(intersection_over_union(Box(*box), Box(*other)) <= allowed for other in rivals):
            kept.append((box, score, label))
    return [(score, label) for _, score, label in kept]


@given(rows)
def test_suppression_is_the_greedy_one(found: list[tuple[tuple[float, float, float, float], float, int]]) -> None:
    kept = suppress(candidates_of(*found), Thresholds(confidence=0.35, iou=0.512345, max_det=200))
    chosen = [(round(float(score), 2), int(label)) for score, label in zip(kept.scores, kept.labels, strict=True)]
    assert chosen == greedy(found, 0.512345)
