"""From a picture to what it shows: detection, zones, tracking, counting, grouping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Protocol

import cv2
import numpy as np
import simplejpeg

from detection.camera_motion import estimate_shift, view_of
from detection.configuration import DetectionConfiguration, TrackingConfiguration
from detection.detections import Crossing, DetectedFrame, Detection
from detection.detector import Detector, Picture
from detection.grouping import form_groups
from detection.jpeg_rows import rows_of
from detection.observing import CameraRules, Scene, observe
from detection.picture_motion import with_picture_motions
from detection.road_speeds import find_motions, with_closing_speeds, with_speeds
from detection.tracking import track
from detection.tracks import TrackerState, shifted
from detection.zones import ZoneRule, keep_watched
from trafficmon.core import tracing
from trafficmon.core.geometry import Box

CROP_QUALITY = 85
REDUCED_QUALITY = 75
"""JPEG quality of evidence: the model and the operator both still see brake lights."""

NOTHING_DRAWN = CameraRules()


class FrameIdentity(Protocol):
    """Which frame a picture is; `cameras.frames.FrameRef` is one."""

    @property
    def camera_id(self) -> int: ...
    @property
    def frame_key(self) -> str: ...
    @property
    def captured_at(self) -> datetime: ...
    @property
    def burst(self) -> tuple[str, ...]: ...
    @property
    def evidence_key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a burst and when it was captured; it may have been read smaller than its `full_size`."""

    picture: Picture
    captured_at: datetime
    full_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, in full."""
        return self.full_size or (self.picture.shape[1], self.picture.shape[0])


@dataclass(frozen=True, slots=True)
class FramePipeline:
    """What every frame of every camera goes through: one loaded detector and its configuration."""

    detector: Detector
    configuration: DetectionConfiguration


class PictureUnreadableError(Exception):
    """The bytes are no picture; drop the frame and count it."""


def read_picture(jpeg: bytes) -> Picture:
    """The decoded picture; raises PictureUnreadableError.

    The same pixels as OpenCV's, whose build decodes a JPEG in three times the time.
    """
    try:
        return np.asarray(simplejpeg.decode_jpeg(jpeg, colorspace="BGR"), dtype=np.uint8)
    except ValueError:
        message = f"{len(jpeg)} bytes that are no JPEG"
        raise PictureUnreadableError(message) from None


def read_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height, without decoding; raises PictureUnreadableError."""
    try:
        height, width, *_others = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError:
        message = f"{len(jpeg)} bytes that are no JPEG"
        raise PictureUnreadableError(message) from None
    return width, height


def read_shot(jpeg: bytes, captured_at: datetime, *, least_width: int) -> Shot:
    """The picture as large as the detector looks at it, at least `least_width` pixels wide where it is that wide.

    A JPEG can be decoded at a half, a quarter or an eighth of its size at a fraction of the cost, and what is detected
    then is the same (see docs/benchmarks.md). Raises PictureUnreadableError.
    """
    return Shot(read_reduced(jpeg, least_width=least_width), captured_at, read_size(jpeg))


def read_reduced(jpeg: bytes, *, least_width: int) -> Picture:
    """The picture at a half, a quarter or an eighth of its size, at least `least_width` pixels wide where it is that
    wide; raises PictureUnreadableError."""
    least = min(least_width, read_size(jpeg)[0])
    try:
        picture = simplejpeg.decode_jpeg(jpeg, colorspace="BGR", min_width=least, min_height=1, min_factor=1)
    except ValueError:
        message = f"{len(jpeg)} bytes that are no JPEG"
        raise PictureUnreadableError(message) from None
    return np.asarray(picture, dtype=np.uint8)


def choose_evenly(count: int, *, most: int) -> tuple[int, ...]:
    """Which of a burst's `count` pictures to detect, `most` at the most: the last, the first, and evenly in between."""
    chosen = min(most, count)
    if chosen < 2:
        return tuple(range(count))[-1:]
    return tuple(round(number * (count - 1) / (chosen - 1)) for number in range(chosen))


def detect_frame(
    shots: Sequence[Shot],
    frame: FrameIdentity,
    *,
    pipeline: FramePipeline,
    rules: CameraRules = NOTHING_DRAWN,
    tracks: TrackerState | None = None,
) -> tuple[DetectedFrame, TrackerState]:
    """Everything detection can say of one frame, and the tracks to hand in with the camera's next one.

    `shots` are the pictures of its burst to look at, oldest first; the last one is the frame itself, the others only
    help to follow what it shows. `rules` are the camera's; `tracks` is what its last frame returned, None at its first.
    """
    started = perf_counter()
    width, height = shots[-1].size
    configuration = pipeline.configuration
    with tracing.span("detect.infer", model=pipeline.detector.model, pictures=len(shots)):
        found = _look(shots, pipeline.detector, rules.zones, size=(width, height))
    with tracing.span("detect.track"):
        circumstances = Circumstances((width, height), rules, configuration)
        state, named, crossings = _follow(tracks or TrackerState(), shots, found, circumstances)
        motions = find_motions(state, named, rules.calibration, width=width, height=height)
        groups = form_groups(named, width=width, height=height, configuration=configuration.post_processing)
    detected = DetectedFrame(
        camera_id=frame.camera_id,
        frame_key=frame.frame_key,
        captured_at=frame.captured_at,
        width=width,
        height=height,
        detections=with_speeds(with_picture_motions(state, named, size=(width, height)), motions),
        groups=with_closing_speeds(groups, motions),
        process_seconds=perf_counter() - started,
        model=pipeline.detector.model,
        tracking_enabled=configuration.tracking.enabled,
        burst=frame.burst,
        evidence_key=frame.evidence_key,
        crossings=crossings,
    )
    return detected, state


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds for a whole burst: the frame's width and height in pixels, what is drawn on it, the configuration."""

    size: tuple[int, int]
    rules: CameraRules
    configuration: DetectionConfiguration


def _look(
    shots: Sequence[Shot], detector: Detector, zones: Sequence[ZoneRule], *, size: tuple[int, int]
) -> list[tuple[Detection, ...]]:
    """What is watched of each shot, in pixels of a frame of `size`."""
    found = detector.detect_many([each.picture for each in shots])
    width, height = size
    return [
        keep_watched(_enlarged(detections, shot.picture, size), zones, width=width, height=height)
        for shot, detections in zip(shots, found, strict=True)
    ]


def _enlarged(detections: tuple[Detection, ...], picture: Picture, size: tuple[int, int]) -> tuple[Detection, ...]:
    """Detections in `picture` as they would be in a picture of `size`: the earlier ones of a burst are kept smaller."""
    if picture.shape[1::-1] == size:
        return detections
    x, y = size[0] / picture.shape[1], size[1] / picture.shape[0]
    return tuple(replace(each, box=each.box.scaled(x, y)) for each in detections)


def _follow(
    state: TrackerState,
    shots: Sequence[Shot],
    found: Sequence[Sequence[Detection]],
    circumstances: Circumstances,
) -> tuple[TrackerState, tuple[Detection, ...], tuple[Crossing, ...]]:
    """The tracks after all `shots`, the last one's detections with what is known of them, and all crossings."""
    named: tuple[Detection, ...] = ()
    crossings: list[Crossing] = []
    for shot, detections in zip(shots, found, strict=True):
        parked_after = circumstances.configuration.post_processing.parked_after_seconds
        scene = Scene(shot.captured_at, circumstances.size, circumstances.rules, parked_after)
        tracking, is_frame = circumstances.configuration.tracking, shot is shots[-1]
        state = follow_camera(state, shot.picture, tracking, width=circumstances.size[0])
        state, named = track(state, detections, at=shot.captured_at, configuration=tracking, is_frame=is_frame)
        state, named, crossed = observe(state, named, scene)
        crossings += crossed
    return state, named, tuple(crossings)


def follow_camera(
    state: TrackerState, picture: Picture, configuration: TrackingConfiguration, *, width: int
) -> TrackerState:
    """`state`, in pixels of a frame `width` wide, where the camera's own movement has taken it, if that is followed."""
    if not configuration.enabled or configuration.tracker != "botsort":
        return state
    view = view_of(picture)
    shift = estimate_shift(state.view, view, width=width) if state.view else None
    return replace(shifted(state, shift) if shift else state, view=view)


def cut(picture: Picture, crop: Box, *, of: tuple[int, int] | None = None) -> Picture:
    """The pixels that `crop` touches, at least one.

    `crop` is in pixels of a frame of the width and height `of`, where `picture` shows the same at another size.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = _touched(crop, (width, height), of)
    return picture[top:bottom, left:right]


def read_part(jpeg: bytes, crop: Box, *, of: tuple[int, int] | None = None) -> Picture:
    """As `cut`, of a JPEG of which no more is decoded than the rows need; raises PictureUnreadableError."""
    left, top, right, bottom = _touched(crop, read_size(jpeg), of)
    rows, first = rows_of(jpeg, top, bottom)
    return read_picture(rows)[top - first : bottom - first, left:right]


def _touched(crop: Box, size: tuple[int, int], of: tuple[int, int] | None) -> tuple[int, int, int, int]:
    """Left, top, and what is no longer touched to the right and below, in a picture of the width and height `size`."""
    crop = crop.scaled(size[0] / of[0], size[1] / of[1]) if of else crop
    left, top = min(int(crop.x1), size[0] - 1), min(int(crop.y1), size[1] - 1)
    return left, top, max(int(np.ceil(crop.x2)), left + 1), max(int(np.ceil(crop.y2)), top + 1)


def cut_jpeg(picture: Picture, crop: Box, *, of: tuple[int, int] | None = None, quality: int = CROP_QUALITY) -> bytes:
    """As `cut`, in a JPEG."""
    return to_jpeg(cut(picture, crop, of=of), quality=quality)


def to_jpeg(picture: Picture, *, quality: int = CROP_QUALITY) -> bytes:
    """The picture in a JPEG."""
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def reduce_jpeg(jpeg: bytes, width: int, *, quality: int = REDUCED_QUALITY) -> bytes:
    """The picture `width` pixels wide, in a JPEG; as it is where it is not wider, or cannot be read.

    Decoded no larger than needed, which is most of the cost.
    """
    try:
        if read_size(jpeg)[0] <= width:
            return jpeg
        picture = simplejpeg.decode_jpeg(jpeg, colorspace="BGR", min_width=width, min_height=1, min_factor=1)
    except (PictureUnreadableError, ValueError):
        return jpeg
    size = (width, max(round(picture.shape[0] * width / picture.shape[1]), 1))
    smaller = picture if picture.shape[1] == width else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(smaller, quality=quality, colorspace="BGR", colorsubsampling="420"))
