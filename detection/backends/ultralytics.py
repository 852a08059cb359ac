"""Any weights Ultralytics loads (.pt, .onnx, .engine, OpenVINO), on whatever device torch knows.

Imported only through `load_detector`, which first tells Ultralytics to stay quiet and off the network; all that is
ever fetched are well-known weights that are missing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog
import torch
from ultralytics.models import YOLO
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

from detection.backends.classes import kept_classes
from detection.configuration import ModelConfiguration
from detection.detections import Detection
from detection.detector import (
    BackendUnavailableError,
    DetectorOutOfMemoryError,
    Picture,
    WeightsNotFoundError,
    WeightsUnusableError,
)
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

log = structlog.get_logger()


class UltralyticsDetector:
    """One loaded model; calls from several threads take turns, as its predictor keeps state between steps."""

    def __init__(self, weights: Path, configuration: ModelConfiguration, include: Iterable[ObjectClass]) -> None:
        logging.getLogger("ultralytics").setLevel(logging.ERROR)
        _check_device(configuration.device)
        _fetch_missing(weights)
        self._model, names = _load(weights)
        self.model = weights.stem.removesuffix("_openvino_model")
        self._classes = kept_classes(names, include, weights=weights)
        self._options: dict[str, Any] = {
            "conf": configuration.confidence_threshold,
            "iou": configuration.iou_threshold,
            "max_det": configuration.max_det,
            "imgsz": configuration.image_size,
            "quantize": 16 if configuration.half_precision and configuration.device != "cpu" else None,
            "device": configuration.device,
            "classes": list(self._classes),
            "verbose": False,
        }
        # What was exported takes as many pictures as it was exported for, usually one.
        self._takes_batches = weights.suffix == ".pt"
        self._turn = threading.Lock()
        log.info("detector.loaded", backend="ultralytics", weights=str(weights), device=configuration.device)

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        """See `Detector.detect`; raises DetectorOutOfMemoryError."""
        return self._predict([picture])[0]

    def detect_many(self, pictures: Sequence[Picture]) -> tuple[tuple[Detection, ...], ...]:
        """See `Detector.detect_many`: together those of one size, which are laid into the same input as alone.

        Raises DetectorOutOfMemoryError.
        """
        if not self._takes_batches:
            return tuple(map(self.detect, pictures))
        found: dict[int, tuple[Detection, ...]] = {}
        for shape in dict.fromkeys(picture.shape for picture in pictures):
            places = [place for place, picture in enumerate(pictures) if picture.shape == shape]
            found |= zip(places, self._predict([pictures[place] for place in places]), strict=True)
        return tuple(found[place] for place in range(len(pictures)))

    def _predict(self, pictures: list[Picture]) -> list[tuple[Detection, ...]]:
        try:
            with self._turn:
                return [self._detections(each.boxes) for each in self._model.predict(pictures, **self._options)]
        except torch.OutOfMemoryError as error:
            # What its allocator keeps for next time may be what is missing now.
            torch.cuda.empty_cache()
            message = f"{self._options['device']} has no memory for {len(pictures)} pictures at once"
            raise DetectorOutOfMemoryError(message) from error

    def _detections(self, boxes: Any) -> tuple[Detection, ...]:
        rows = zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True)
        return tuple(Detection(Box(*box), self._classes[int(label)], min(score, 1.0)) for box, score, label in rows)


def _check_device(device: str) -> None:
    """Raise BackendUnavailableError where torch has no such device."""
    kind, _, number = device.partition(":")
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and torch.cuda.device_count() > int(number or 0),
        "mps": torch.backends.mps.is_available(),
    }
    if not present[kind]:
        message = f"torch {torch.__version__} finds no {device} here: set model.device to cpu, or install its driver"
        raise BackendUnavailableError(message)


def _fetch_missing(weights: Path) -> None:
    """Download well-known weights to where they are missing; raise WeightsNotFoundError where that cannot be done."""
    if weights.exists():
        return
    if weights.name not in GITHUB_ASSETS_NAMES:
        message = f"{weights} is missing: put the file there, or name other weights in model.name"
        raise WeightsNotFoundError(message)
    log.info("weights.fetching", weights=str(weights))
    try:
        weights.parent.mkdir(parents=True, exist_ok=True)
        attempt_download_asset(weights)
    except (OSError, RuntimeError) as error:
        log.warning("weights.not_fetched", weights=str(weights), reason=type(error).__name__)
    if not weights.exists():
        message = (
            f"{weights} is missing and could not be downloaded: copy {weights.name} there from a machine with "
            "access to github.com/ultralytics/assets, or name other weights in model.name"
        )
        raise WeightsNotFoundError(message)


def _load(weights: Path) -> tuple[Any, dict[int, str]]:
    """The model and its class names; raises WeightsUnusableError."""
    try:
        model = YOLO(str(weights), task="detect")
        names: dict[int, str] = dict(model.names)
    except (RuntimeError, ValueError, OSError, KeyError, AttributeError, ModuleNotFoundError, TypeError) as error:
        message = f"{weights} cannot be loaded by ultralytics ({type(error).__name__}: {error})"
        raise WeightsUnusableError(message) from error
    return model, names
