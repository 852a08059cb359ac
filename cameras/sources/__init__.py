"""Where pictures come from: cameras over RTSP and HTTP, video files, and the synthetic street."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import dataclass

import cv2
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from cameras.addresses import AllowedSource, SourceKind, allow_source, read_street
from cameras.models import Sampling
from cameras.sampling import Burst, Picture
from cameras.sources.containers import ContainerStream, read_recording
from cameras.sources.errors import UnableToOpen, UnableToRead
from cameras.sources.evidence import EvidenceStream, PairedStream
from cameras.sources.streams import Figures, Format, Stream, Terms

__all__ = [
    "Burst",
    "Figures",
    "Format",
    "Picture",
    "Probe",
    "Stream",
    "Terms",
    "UnableToOpen",
    "UnableToRead",
    "encode_jpeg",
    "open_stream",
    "probe",
    "read_recording",
]

JPEG_QUALITY = 80
_BLOCK_PX = 16
"""What OpenCV codes together, as colours are kept for every second pixel."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a source showed when it was tried; `latency_ms` is the time to its first picture, `fps` 0 where unknown."""

    picture_jpeg: bytes
    width: int
    height: int
    codec: str
    fps: float
    latency_ms: float


def open_stream(source: str, terms: Terms, *, detection_source: str = "") -> Stream:
    """Open `source`, which is checked again first; raises UnableToOpen.

    With a `detection_source` pictures are sampled from that, and each burst shows its last one as `source` has it, too.
    """
    if detection_source:
        main = _allow(source)
        if main.kind is SourceKind.STREET:
            raise UnableToOpen(_("A simulated street has one stream only."))
        return PairedStream(open_stream(detection_source, terms), EvidenceStream(main, terms))
    allowed = _allow(source)
    if allowed.kind is SourceKind.STREET:
        from cameras.sources.streets import StreetStream

        return StreetStream(read_street(allowed.url), terms)
    return ContainerStream(allowed, terms)


def _allow(source: str) -> AllowedSource:
    try:
        return allow_source(source)
    except ValidationError as error:
        raise UnableToOpen(" ".join(error.messages)) from None


def encode_jpeg(picture: Picture) -> bytes:
    """The picture (BGR) as a JPEG, of which single rows of blocks can be read (`detection.jpeg_rows`)."""
    blocks = -(-picture.shape[1] // _BLOCK_PX)
    form = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_RST_INTERVAL, blocks)
    _done, encoded = cv2.imencode(".jpg", picture, form)
    return encoded.tobytes()


def probe(source: str, *, timeout_seconds: float = 8) -> Probe:
    """Open `source` and take its first picture; raises UnableToOpen with a sentence for an operator."""
    began = time.monotonic()
    terms = Terms(timeout_seconds, Sampling.KEY_FRAME, open_seconds=timeout_seconds, read_seconds=timeout_seconds)
    over = threading.Event()
    alarm = threading.Timer(timeout_seconds, over.set)
    alarm.start()
    try:
        with closing(open_stream(source, terms)) as stream:
            picture = _first_picture(stream, over)
            latency_ms = (time.monotonic() - began) * 1000
            height, width = picture.shape[:2]
            kind = stream.format
            return Probe(encode_jpeg(picture), width, height, kind.codec, kind.fps, latency_ms)
    except UnableToRead as error:
        raise UnableToOpen(str(error)) from None
    finally:
        alarm.cancel()


def _first_picture(stream: Stream, over: threading.Event) -> Picture:
    for burst in stream.bursts(over):
        return burst.pictures[-1]
    raise UnableToRead(_("It was reached, but showed no picture in time."))
