"""What the sample model is asked to learn from the street."""

from pathlib import Path

from cameras.street import TrueObject
from detection.sample.dataset import (
    TEST_SEEDS,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    Label,
    as_yolo,
    labels_of,
    write_dataset,
)
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

WHOLE = Box(0, 0, 1280, 720)


def seen(box: Box, *, visible: float = 1.0, object_class: ObjectClass = ObjectClass.CAR) -> TrueObject:
    return TrueObject(box, object_class, 1, None, visible)


def test_labels_leave_out_what_is_mostly_hidden() -> None:
    box = Box(100, 100, 200, 200)
    assert labels_of([seen(box, visible=0.34)], WHOLE) == []
    assert labels_of([seen(box, visible=0.35)], WHOLE) == [Label(2, box)]


def test_labels_leave_out_what_is_too_small() -> None:
    assert labels_of([seen(Box(100, 100, 108, 200))], WHOLE) == []
    assert labels_of([seen(Box(100, 100, 109, 200))], WHOLE) == [Label(2, Box(100, 100, 109, 200))]


def test_labels_of_a_part_are_moved_and_cut() -> None:
    window = Box(640, 360, 1280, 720)
    assert labels_of([seen(Box(600, 400, 700, 460))], window) == [Label(2, Box(0, 40, 60, 100))]


def test_labels_of_a_part_leave_out_what_is_mostly_outside() -> None:
    assert labels_of([seen(Box(540, 400, 660, 460))], Box(640, 360, 1280, 720)) == []


def test_classes_are_numbered_in_the_order_of_the_contract() -> None:
    box = Box(0, 0, 100, 100)
    truth = [seen(box, object_class=one) for one in ObjectClass]
    assert [label.class_index for label in labels_of(truth, WHOLE)] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_yolo_lines_hold_class_middle_and_size_in_shares() -> None:
    labels = [Label(2, Box(0, 0, 640, 360)), Label(0, Box(320, 90, 960, 630))]
    assert as_yolo(labels, 1280, 720) == (
        "2 0.250000 0.250000 0.500000 0.500000\n0 0.500000 0.500000 0.500000 0.750000"
    )


def test_seeds_of_training_validation_and_test_are_disjoint() -> None:
    assert set(TRAINING_SEEDS) & set(VALIDATION_SEEDS) == set()
    assert (set(TRAINING_SEEDS) | set(VALIDATION_SEEDS)) & set(TEST_SEEDS) == set()


def test_written_set_has_one_label_file_for_each_picture(tmp_path: Path) -> None:
    description = write_dataset(tmp_path, training=1, validation=1)
    for name in ("train", "val"):
        pictures = {one.stem for one in (tmp_path / name / "images").glob("*.jpg")}
        labels = {one.stem for one in (tmp_path / name / "labels").glob("*.txt")}
        assert pictures == labels
        assert len(pictures) == 40
    assert description.read_text().splitlines()[-1] == "  7: stop_sign"
