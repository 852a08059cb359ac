"""How well the shipped sample model finds what is on streets it has never seen: `python -m detection.sample.evaluate`.

Prints one line of JSON for each form of the weights. Needs the detection requirement set.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameras.street import Street, TrueObject
from detection.sample.dataset import CLASS_NAMES, LEAST_VISIBLE, SMALLEST_PX, unseen_parts
from detection.sample.precision import Found, Picture, Wanted, average_precisions
from detection.sample.train import INPUT_SIZE, NAME, WEIGHTS
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

from ultralytics.models import YOLO  # isort: skip - after the switches that detection.sample.train sets

REQUIRED_SIZE_PX = 16.0
"""The side of the smallest square, in a 1280 x 720 picture, that has to be found: eight pixels of the model's input."""


def unseen_moments(pictures: int) -> Iterator[tuple[NDArray[np.uint8], tuple[TrueObject, ...]]]:
    """That many pictures (720, 1280, 3) with their truth, in the scenes' usual shares."""
    for part in unseen_parts(pictures):
        street = Street(part.scene, seed=part.seed)
        rng = np.random.default_rng(part.seed)
        seconds = float(rng.uniform(0.0, 8.0))
        for _ in range(part.frames):
            street.advance_to(seconds)
            yield street.render(), street.truth()
            seconds += float(rng.uniform(3.0, 9.0))


def find(model: Any, picture: NDArray[np.uint8]) -> list[Found]:
    """What an ultralytics model sees, down to hardly any confidence."""
    boxes = model.predict(picture, imgsz=list(INPUT_SIZE), conf=0.005, iou=0.6, max_det=200, verbose=False)[0].boxes
    rows = zip(boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), strict=True)
    return [
        Found(ObjectClass(CLASS_NAMES[int(index)]), confidence, Box(*corners)) for index, confidence, corners in rows
    ]


def wanted(truth: TrueObject) -> Wanted:
    """Required when enough of it can be seen and it is large enough."""
    large = truth.box.area >= REQUIRED_SIZE_PX**2 and min(truth.box.width, truth.box.height) >= SMALLEST_PX
    return Wanted(truth.object_class, truth.box, large and truth.visible >= LEAST_VISIBLE)


def strictly_wanted(truth: TrueObject) -> Wanted | None:
    """Every object the model was trained on is required, and finding any other is an error."""
    labelled = truth.visible >= LEAST_VISIBLE and min(truth.box.width, truth.box.height) >= SMALLEST_PX
    return Wanted(truth.object_class, truth.box, required=True) if labelled else None


def measure(weights: Path, pictures: int) -> dict[str, Any]:
    """`map50`: over what is `wanted`; `map50_strict`: over what is `strictly_wanted`."""
    model = YOLO(weights, task="detect")
    usual: list[Picture] = []
    strict: list[Picture] = []
    for picture, truth in unseen_moments(pictures):
        found = find(model, picture)
        usual.append((found, [wanted(one) for one in truth]))
        strict.append((found, [one for one in map(strictly_wanted, truth) if one is not None]))
    by_class = average_precisions(usual)
    return {
        "weights": weights.name,
        "pictures": len(usual),
        "objects": sum(one.required for _, listed in usual for one in listed),
        "map50": round(fmean(by_class.values()), 3),
        "map50_strict": round(fmean(average_precisions(strict).values()), 3),
        "map50_by_class": {one.value: round(figure, 3) for one, figure in by_class.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the sample model on unseen streets.")
    parser.add_argument("weights", nargs="*", type=Path, help="by default both shipped forms")
    parser.add_argument("--pictures", type=int, default=400)
    options = parser.parse_args()
    for weights in options.weights or [WEIGHTS / f"{NAME}.pt", WEIGHTS / f"{NAME}_openvino_model"]:
        sys.stdout.write(json.dumps(measure(weights, options.pictures)) + "\n")


if __name__ == "__main__":
    main()
