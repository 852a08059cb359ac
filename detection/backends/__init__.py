"""The vendors that run detection, each one module behind `detection.detector.Detector`.

Each is imported only when it is chosen: torch alone takes seconds and hundreds of megabytes.
"""

from __future__ import annotations

import os
from pathlib import Path

from detection.batching import BatchingDetector
from detection.configuration import DetectionConfiguration
from detection.detector import BackendUnavailableError, Detector, WeightsNotFoundError

SAMPLE = "sample"
SAMPLE_DIR = Path(__file__).resolve().parent.parent / "sample" / "weights"
OPENVINO_ENDING = "_openvino_model"
QUIET_ULTRALYTICS = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
"""Read by Ultralytics when it is imported: no telemetry, no look-ups, and no packages installed behind one's back."""


def load_detector(configuration: DetectionConfiguration, *, weights_dir: Path) -> Detector:
    """The detector that `configuration.model` names, loaded but not warmed up.

    Raises WeightsNotFoundError, WeightsUnusableError or BackendUnavailableError; each says what to change.
    """
    weights = find_weights(configuration, weights_dir=weights_dir)
    if chosen_backend(configuration, weights) == "openvino":
        return _load_openvino(weights, configuration)
    return _load_ultralytics(weights, configuration)


def find_weights(configuration: DetectionConfiguration, *, weights_dir: Path) -> Path:
    """Where the named weights are, or where they would have to be put: below `weights_dir` unless a path is named."""
    name = configuration.model.name
    if name == SAMPLE:
        wants_torch = configuration.model.backend == "ultralytics" or configuration.model.device != "cpu"
        return SAMPLE_DIR / ("trafficmon-sample.pt" if wants_torch else f"trafficmon-sample{OPENVINO_ENDING}")
    inside = weights_dir / name
    return Path(name) if Path(name).exists() and not inside.exists() else inside


def chosen_backend(configuration: DetectionConfiguration, weights: Path) -> str:
    """`openvino` or `ultralytics`; `auto` goes by what the weights are."""
    if configuration.model.backend != "auto":
        return configuration.model.backend
    return "openvino" if weights.name.endswith(OPENVINO_ENDING) or weights.suffix == ".xml" else "ultralytics"


def _load_openvino(weights: Path, configuration: DetectionConfiguration) -> Detector:
    if not weights.exists():
        message = f"{weights} is missing: put the folder of OpenVINO weights there, or name others in model.name"
        raise WeightsNotFoundError(message)
    try:
        from detection.backends.openvino import OpenvinoDetector
    except ImportError as error:
        message = "the openvino backend needs the package openvino: pip install openvino"
        raise BackendUnavailableError(message) from error
    return OpenvinoDetector(weights, configuration.model, configuration.classes.include)


def _load_ultralytics(weights: Path, configuration: DetectionConfiguration) -> Detector:
    os.environ |= QUIET_ULTRALYTICS
    try:
        from detection.backends.ultralytics import UltralyticsDetector
    except ImportError as error:
        message = (
            f"{weights.name} needs the packages of requirements/detection.txt, which are not installed: "
            "install them, or name OpenVINO weights in model.name"
        )
        raise BackendUnavailableError(message) from error
    model = configuration.model
    detector = UltralyticsDetector(weights, model, configuration.classes.include)
    if model.device == "cpu":
        return detector
    return BatchingDetector(detector, most=model.batch_size, wait_seconds=model.batch_wait_ms / 1000)
