"""OpenVINO weights as exported by Ultralytics, run on the CPU without torch."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import structlog
import yaml
from openvino.preprocess import ColorFormat, PrePostProcessor
from pydantic import BaseModel, ValidationError

from detection.backends.classes import kept_classes
from detection.backends.letterbox import Fit, boxes_in_picture, fit_picture, letterbox
from detection.backends.reshaping import reshape_network
from detection.backends.suppression import Candidates, Thresholds, read_finished_head, read_raw_head, suppress
from detection.configuration import ModelConfiguration
from detection.detections import Detection
from detection.detector import BackendUnavailableError, Picture, WeightsNotFoundError, WeightsUnusableError
from trafficmon.core.cores import usable_cores
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

log = structlog.get_logger()


MOST_SHAPES = 4
"""Each takes the memory of another network; pictures of further shapes are laid into the whole input."""


class Metadata(BaseModel):
    """What the exporter wrote beside the weights."""

    names: dict[int, str]
    stride: int = 32
    task: str = "detect"


@dataclass(frozen=True, slots=True)
class Network:
    """A compiled model; every thread that asks gets an inference request of its own."""

    compiled: Any
    input_size: tuple[int, int]
    """Width and height, in pixels; what a picture must fit into where the network takes any size."""
    stride: int | None
    """To a multiple of which pictures are padded where the network takes any size."""
    _of_thread: threading.local = field(default_factory=threading.local)

    def infer(self, picture: Picture) -> tuple[Any, Fit]:
        """The raw answer, and how `picture` lay in the input."""
        height, width = picture.shape[:2]
        fit = fit_picture((width, height), self.input_size, stride=self.stride)
        request = self._request()
        request.infer({0: letterbox(picture, fit)[np.newaxis]}, share_inputs=True)
        return request.get_output_tensor(0).data[0], fit

    def _request(self) -> Any:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self.compiled.create_infer_request()
        return self._of_thread.request


class OpenvinoDetector:
    """One set of weights, compiled when first needed for each shape of pictures: wide ones leave no half in grey."""

    def __init__(self, weights: Path, configuration: ModelConfiguration, include: Iterable[ObjectClass]) -> None:
        _check_device(configuration)
        self._xml = _find_xml(weights)
        self._metadata = _read_metadata(self._xml)
        self.model = weights.name.removesuffix(".xml").removesuffix("_openvino_model")
        self._classes = kept_classes(self._metadata.names, include, weights=weights)
        self._thresholds = Thresholds(
            configuration.confidence_threshold, configuration.iou_threshold, configuration.max_det
        )
        self._raw_channels = 4 + len(self._metadata.names)
        self._configuration = configuration
        self._input_size, self._stride = _input_of(_read_model(self._xml), configuration, self._metadata)
        self._networks: dict[tuple[int, int], Network] = {}
        self._compiling = threading.Lock()
        log.info("detector.loaded", backend="openvino", weights=str(self._xml), input_size=self._input_size)

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        """See `Detector.detect`."""
        answer, fit = self._network_for(picture).infer(picture)
        return self._detections(self._read(answer), fit)

    def detect_many(self, pictures: Sequence[Picture]) -> tuple[tuple[Detection, ...], ...]:
        """See `Detector.detect_many`: one after another, as the other cores are for the threads that ask meanwhile."""
        return tuple(map(self.detect, pictures))

    def _network_for(self, picture: Picture) -> Network:
        size = self._input_size
        if self._configuration.rectangular and not self._stride:
            height, width = picture.shape[:2]
            size = fit_picture((width, height), size, stride=self._metadata.stride).input_size
        network = self._networks.get(size)
        if network is None:
            with self._compiling:
                network = self._networks.get(size) or self._compile(size)
                self._networks[size] = network
        return network

    def _compile(self, size: tuple[int, int]) -> Network:
        """A network for inputs of `size`, or the one for all where this would be one too many or cannot be made."""
        model = _read_model(self._xml)
        if size == self._input_size:
            return Network(_compile(model, self._configuration), size, self._stride)
        if len(self._networks) < MOST_SHAPES and reshape_network(model, width=size[0], height=size[1]):
            log.info("detector.reshaped", input_size=size)
            return Network(_compile(model, self._configuration), size, None)
        whole = self._networks.get(self._input_size) or self._compile(self._input_size)
        self._networks[self._input_size] = whole
        return whole

    def _read(self, output: Any) -> Candidates:
        """The kept candidates of one picture, whether or not the model suppresses by itself."""
        wanted = np.array(list(self._classes), dtype=np.intp)
        if output.shape[0] == self._raw_channels:
            candidates = read_raw_head(output, self._thresholds)
            return suppress(candidates.chosen(np.isin(candidates.labels, wanted)), self._thresholds)
        candidates = read_finished_head(output, self._thresholds)
        candidates = candidates.chosen(np.isin(candidates.labels, wanted))
        return candidates.chosen(np.argsort(-candidates.scores, kind="stable")[: self._thresholds.max_det])

    def _detections(self, candidates: Candidates, fit: Fit) -> tuple[Detection, ...]:
        boxes = boxes_in_picture(candidates.boxes, fit).tolist()
        rows = zip(boxes, candidates.scores.tolist(), candidates.labels.tolist(), strict=True)
        return tuple(Detection(Box(*box), self._classes[label], min(score, 1.0)) for box, score, label in rows)


def _check_device(configuration: ModelConfiguration) -> None:
    if configuration.device != "cpu":
        message = (
            f"the openvino backend runs on the cpu, not on {configuration.device}: "
            "set model.device to cpu, or model.backend to ultralytics with weights for that device"
        )
        raise BackendUnavailableError(message)


def _find_xml(weights: Path) -> Path:
    """The network file of a folder of OpenVINO weights, or that file itself."""
    found = [weights] if weights.is_file() else sorted(weights.glob("*.xml"))
    if len(found) != 1 or found[0].suffix != ".xml":
        message = f"{weights} holds {len(found)} OpenVINO .xml files where one is expected"
        raise WeightsUnusableError(message)
    if not found[0].with_suffix(".bin").is_file():
        message = f"{found[0].with_suffix('.bin')} is missing: copy the whole folder the exporter wrote"
        raise WeightsNotFoundError(message)
    return found[0]


def _read_metadata(xml: Path) -> Metadata:
    path = xml.with_name("metadata.yaml")
    try:
        metadata = Metadata.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        message = f"{path} cannot be read ({type(error).__name__}): copy the whole folder the exporter wrote"
        raise WeightsUnusableError(message) from error
    if metadata.task != "detect":
        message = f"{xml.parent} was exported for the task {metadata.task}, not detect"
        raise WeightsUnusableError(message)
    return metadata


def _read_model(xml: Path) -> Any:
    try:
        return openvino.Core().read_model(str(xml))
    except RuntimeError as error:
        message = f"{xml} is not a network OpenVINO {openvino.__version__} can read: export it again"
        raise WeightsUnusableError(message) from error


def _input_of(model: Any, configuration: ModelConfiguration, metadata: Metadata) -> tuple[tuple[int, int], int | None]:
    """The input's width and height, and the stride to pad to where the model takes any size."""
    shape = model.input(0).get_partial_shape()
    if not (shape[2].is_dynamic or shape[3].is_dynamic):
        return (shape[3].get_length(), shape[2].get_length()), None
    return (configuration.image_size, configuration.image_size), metadata.stride


def _compile(model: Any, configuration: ModelConfiguration) -> Any:
    """The model taking BGR bytes as cameras give them, compiled to infer one picture on each core at once.

    A picture inferred by one thread costs a quarter less than by two, which wait for each other, and costs the same
    however busy the machine is. Not pinned: other processes share the cores. See docs/benchmarks.md.
    """
    steps = PrePostProcessor(model)
    steps.input(0).tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC")).set_color_format(
        ColorFormat.BGR
    )
    steps.input(0).preprocess().convert_element_type(openvino.Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    steps.input(0).model().set_layout(openvino.Layout("NCHW"))
    for index in range(len(model.outputs)):
        steps.output(index).tensor().set_element_type(openvino.Type.f32)
    cores = usable_cores()
    settings: dict[str, Any] = {"NUM_STREAMS": cores, "INFERENCE_NUM_THREADS": cores, "ENABLE_CPU_PINNING": False}
    if configuration.half_precision:
        settings["INFERENCE_PRECISION_HINT"] = openvino.Type.f16
    return openvino.Core().compile_model(steps.build(), "CPU", settings)
