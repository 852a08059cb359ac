"""How well the shipped sample model finds what is on streets it has never seen: `python -m detection.sample.evaluate`.

Prints one line of JSON for each form of the weights. Needs the detection requirement set.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from detection.sample.dataset import write_test_set
from detection.sample.train import INPUT_SIZE, NAME, WEIGHTS, WORK

from ultralytics.models import YOLO  # isort: skip - after the switches that detection.sample.train sets


def evaluate(weights: Path, description: Path) -> dict[str, Any]:
    """Average precision at an overlap of 0.5 (`map50`) over the classes present, and for each of them."""
    metrics = YOLO(weights, task="detect").val(
        data=str(description),
        imgsz=list(INPUT_SIZE),
        batch=1,
        rect=False,
        device="cpu",
        workers=0,
        plots=False,
        verbose=False,
        max_det=200,
        project=str(description.parent.resolve()),
        name="evaluation",
        exist_ok=True,
    )
    box = metrics.box
    per_class = {
        metrics.names[int(index)]: round(float(box.ap50[place]), 3) for place, index in enumerate(box.ap_class_index)
    }
    return {
        "weights": weights.name,
        "map50": round(float(box.map50), 3),
        "map50_95": round(float(box.map), 3),
        "precision": round(float(box.mp), 3),
        "recall": round(float(box.mr), 3),
        "map50_by_class": per_class,
        "inference_ms": round(float(metrics.speed["inference"]), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the sample model on unseen streets.")
    parser.add_argument("weights", nargs="*", type=Path, help="by default both shipped forms")
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    description = write_test_set(options.work, pictures=options.pictures, workers=options.workers)
    for weights in options.weights or [WEIGHTS / f"{NAME}.pt", WEIGHTS / f"{NAME}_openvino_model"]:
        measured = evaluate(weights, description) | {"pictures": options.pictures}
        sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
