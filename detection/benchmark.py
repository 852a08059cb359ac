"""How much of a reference clip is found, and how fast: `python -m detection.benchmark --help`.

The reference is an OTVision `.otdet.bz2`: per frame a list of boxes whose `x`, `y` are the top-left corner in pixels
(checked against the picture: read as centres, none of them meets a car). The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import bz2
import importlib.util
import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np

from detection.backends import load_detector
from detection.detections import Detection, count_by_class
from detection.detector import Picture
from detection.speed import compare_speed, configured, ratio_to_library
from trafficmon.core.geometry import Box, intersection_over_union
from trafficmon.core.objects import VEHICLES, ObjectClass

SURE = 0.8
"""Reference cars at least this sure must be found."""
SAME_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Recall:
    """How many of the reference's sure cars were found, and in how many frames all of them."""

    frames: int
    frames_all_found: int
    share_all_found: float
    cars: int
    cars_found: int
    car_recall: float
    cars_found_as_any_vehicle: int
    mean_overlap: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure as the command line asks and print the figures as one JSON line."""
    asked = _parser().parse_args(arguments)
    detector = load_detector(configured(asked.weights, "auto"), weights_dir=Path())
    pictures = read_clip(asked.clip, size=asked.size)
    figures: dict[str, object] = {"weights": Path(asked.weights).name, "clip": asked.clip.name}
    if asked.reference:
        references = read_reference(asked.reference)
        figures["recall"] = asdict(measure_recall([detector.detect(each) for each in pictures], references))
    if photograph := asked.picture or _bus_photograph():
        figures[photograph.name] = count_by_class(detector.detect(_read(photograph)))
    if asked.speed:
        speeds = compare_speed(asked.weights, pictures)
        figures["speed"] = {name: asdict(speed) for name, speed in speeds.items()}
        figures["ratio"] = ratio_to_library(speeds)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def read_clip(path: Path, *, size: tuple[int, int] | None = None) -> list[Picture]:
    """Every picture of a video file, in order, scaled to `size` (width, height) if given."""
    width, height = size or (None, None)
    with av.open(str(path)) as container:
        frames = (each.reformat(width, height, format="bgr24") for each in container.decode(video=0))
        return [np.asarray(frame.to_ndarray(), np.uint8) for frame in frames]


def read_reference(path: Path) -> list[tuple[Box, ...]]:
    """The boxes of sure cars in each frame of an OTVision `.otdet.bz2`, in order."""
    frames = json.loads(bz2.decompress(path.read_bytes()))["data"]
    return [tuple(_sure_cars(frames[number]["detections"])) for number in sorted(frames, key=int)]


def measure_recall(found: Sequence[Sequence[Detection]], references: Sequence[Sequence[Box]]) -> Recall:
    """Compare what was found with the reference, frame by frame; raises ValueError when their numbers differ."""
    pairs = list(zip(references, found, strict=True))
    as_cars = [_best_overlaps(cars, detections, frozenset({ObjectClass.CAR})) for cars, detections in pairs]
    as_vehicles = [_best_overlaps(cars, detections, VEHICLES) for cars, detections in pairs]
    overlaps = list(chain.from_iterable(as_cars))
    whole = sum(_count_found(frame) == len(frame) for frame in as_cars)
    return Recall(
        frames=len(pairs),
        frames_all_found=whole,
        share_all_found=round(whole / len(pairs), 4),
        cars=len(overlaps),
        cars_found=_count_found(overlaps),
        car_recall=round(_count_found(overlaps) / len(overlaps), 4),
        cars_found_as_any_vehicle=_count_found(chain.from_iterable(as_vehicles)),
        mean_overlap=round(statistics.fmean(overlaps), 4),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection.benchmark", description=__doc__)
    parser.add_argument("--clip", type=Path, required=True, help="video file")
    parser.add_argument("--weights", required=True, help="as model.name in model_config.yaml")
    parser.add_argument("--reference", type=Path, help="reference detections (.otdet.bz2) of the clip")
    parser.add_argument("--picture", type=Path, help="a photograph to count in; bus.jpg of ultralytics if installed")
    parser.add_argument("--size", type=_size, help="scale the clip, such as 1280x720; not with a reference")
    parser.add_argument("--speed", action="store_true", help="compare the backends' speed on the clip, too")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def _sure_cars(entries: Sequence[dict[str, float | str]]) -> Iterator[Box]:
    for entry in entries:
        x, y, width, height, confidence = (float(entry[key]) for key in ("x", "y", "w", "h", "confidence"))
        if entry["class"] == "car" and confidence >= SURE:
            yield Box(x, y, x + width, y + height)


def _best_overlaps(
    boxes: Sequence[Box], detections: Sequence[Detection], classes: frozenset[ObjectClass]
) -> list[float]:
    candidates = [each.box for each in detections if each.object_class in classes]
    return [max((intersection_over_union(box, other) for other in candidates), default=0.0) for box in boxes]


def _count_found(overlaps: Iterable[float]) -> int:
    return sum(overlap >= SAME_OVERLAP for overlap in overlaps)


def _bus_photograph() -> Path | None:
    """The photograph that Ultralytics ships, found without importing it."""
    found = importlib.util.find_spec("ultralytics")
    return Path(found.origin).with_name("assets") / "bus.jpg" if found and found.origin else None


def _read(path: Path) -> Picture:
    return np.asarray(cv2.imread(str(path)), dtype=np.uint8)


if __name__ == "__main__":
    sys.exit(main())
