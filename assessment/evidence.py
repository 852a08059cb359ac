"""The pictures that explain a verdict: what the model was shown, kept with their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from assessment.clients import UnableToAssess
from assessment.disk_guard import is_full
from assessment.models import Evidence, EvidenceKind
from detection.detect import read_part, to_jpeg
from detection.detections import DetectedFrame
from trafficmon.core import metrics
from trafficmon.core.clock import utc_now
from trafficmon.core.geometry import Box
from trafficmon.pruning import SECONDS, in_time

FOLDER = "evidence"
"""Below the media storage, then year, month and day."""


class PictureGone(UnableToAssess):
    """The question came too late: its picture is no longer in the frame store."""

    reason = "picture_gone"
    retryable = False
    can_be_sent_again = False


@dataclass(frozen=True, slots=True)
class Pictures:
    """JPEGs of a frame and of what was sampled just before it, in time order and perhaps smaller.

    `place` is the traffic group's part, in pixels of a frame of the width and height `size`; None: it is about all.
    """

    frame: bytes
    size: tuple[int, int]
    place: Box | None = None
    earlier: tuple[bytes, ...] = ()

    def crop(self) -> bytes | None:
        """The place alone, as a JPEG."""
        return to_jpeg(read_part(self.frame, self.place, of=self.size)) if self.place else None


def picture_keys(frame: DetectedFrame) -> tuple[str, ...]:
    """Of all pictures of the frame: those before it in time order, itself, and it as a larger stream has it."""
    before = tuple(key for key in frame.burst if key != frame.frame_key)
    return (*before, frame.frame_key, *filter(None, (frame.evidence_key,)))


def pictures_of(frame: DetectedFrame, group_index: int, kept: Mapping[str, bytes]) -> Pictures:
    """What is still `kept` of the frame's pictures, for a question about one group (0: all of it); raises PictureGone
    without the frame itself."""
    whole = kept.get(frame.evidence_key) or kept.get(frame.frame_key)
    if whole is None:
        message = f"The picture of frame {frame.frame_key} is no longer kept."
        raise PictureGone(message)
    place = next((each.crop for each in frame.groups if each.index == group_index), None)
    before = (kept[key] for key in frame.burst if key != frame.frame_key and key in kept)
    return Pictures(whole, (frame.width, frame.height), place, tuple(before))


def kept_picture(assessment_id: int) -> bytes | None:
    """The whole picture as it was kept, for a question that is put again; None where there is none."""
    kept = Evidence.objects.filter(assessment=assessment_id, kind=EvidenceKind.FRAME).first()
    if kept is None:
        return None
    try:
        with kept.picture.open() as picture:
            jpeg: bytes = picture.read()
    except OSError:
        return None
    return jpeg


def keep_evidence(assessment_id: int, pictures: Pictures) -> None:
    """Write the pictures to the media storage, each once: the frame, the group's part, and the burst before it.

    Where the disk is full none is written, which is counted: a verdict without pictures is better than none.
    Raises OSError, or IntegrityError where the question is gone: the file then goes with the others of its day.
    """
    if is_full():
        metrics.evidence_not_kept.inc()
        return
    kept = set(Evidence.objects.filter(assessment_id=assessment_id).values_list("kind", "number"))
    earlier = ((EvidenceKind.EARLIER, number, jpeg) for number, jpeg in enumerate(pictures.earlier, 1))
    for kind, number, jpeg in (
        (EvidenceKind.FRAME, 0, pictures.frame),
        (EvidenceKind.CROP, 0, pictures.crop()),
        *earlier,
    ):
        if jpeg and (kind, number) not in kept:
            digest = hashlib.sha256(jpeg).hexdigest()
            row = Evidence(assessment_id=assessment_id, kind=kind, number=number, sha256=digest)
            day, name = utc_now().strftime("%Y/%m/%d"), f"{kind}{number or ''}"
            row.picture.save(f"{FOLDER}/{day}/{assessment_id}-{name}.jpg", ContentFile(jpeg), save=True)


def forget_pictures(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the files of the days before a moment, whether or not a row still names them, until the time is over; how
    many went."""
    gone = 0
    for path in in_time(_paths_before(before.astimezone(UTC).strftime("%Y/%m/%d")), seconds=seconds):
        default_storage.delete(path)
        gone += 1
    return gone


def _paths_before(last: str) -> Iterator[str]:
    """The files of the days before `last`; each day's folder goes once the next file is asked for."""
    for day in _days():
        if day < last:
            folder = f"{FOLDER}/{day}"
            yield from (f"{folder}/{name}" for name in default_storage.listdir(folder)[1])
            default_storage.delete(folder)


def _days() -> list[str]:
    """The days of which there is a folder, `2026/05/04`."""
    if not default_storage.exists(FOLDER):
        return []
    years = default_storage.listdir(FOLDER)[0]
    months = [f"{year}/{month}" for year in years for month in default_storage.listdir(f"{FOLDER}/{year}")[0]]
    return [f"{month}/{day}" for month in months for day in default_storage.listdir(f"{FOLDER}/{month}")[0]]
