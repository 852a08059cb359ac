"""What finds road users in a picture, whatever runs behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detection.detections import Detection

Picture = NDArray[np.uint8]
"""Height x width x 3, blue green red, 0 to 255."""


class Detector(Protocol):
    """One set of weights, loaded and ready; several threads may ask at once."""

    @property
    def model(self) -> str:
        """The name shown to people, such as `yolo11n`."""
        ...

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        """Road users, lights and signs in `picture`, most confident first, boxes in pixels of that picture."""
        ...

    def detect_many(self, pictures: Sequence[Picture]) -> tuple[tuple[Detection, ...], ...]:
        """What `detect` finds in each of `pictures`, which may differ in size, in their order."""
        ...


class DetectorError(Exception):
    """A detector could not be made ready; the message says what to change."""


class WeightsNotFoundError(DetectorError):
    """Put the weights at the path named, or name others under `model.name` in model_config.yaml."""


class WeightsUnusableError(DetectorError):
    """The weights are there but cannot be used; export them again or name others under `model.name`."""


class BackendUnavailableError(DetectorError):
    """Install what the backend needs, or choose another under `model.backend` or `model.device`."""


class DetectorOutOfMemoryError(DetectorError):
    """The device's memory does not suffice; lower `model.batch_size` or `model.image_size`, or free some of it."""


def warm_up(detector: Detector, *, width: int = 1280, height: int = 720) -> None:
    """Run one grey picture through `detector`, so that the first camera does not wait for its set-up."""
    detector.detect(np.full((height, width, 3), 114, dtype=np.uint8))
