"""The pictures that explain a verdict: what the model was shown, kept with their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.core.files.base import ContentFile

from assessment.clients import UnableToAssess
from assessment.models import Evidence, EvidenceKind
from assessment.risk import WHOLE_FRAME
from detection.detections import DetectedFrame


class PictureGone(UnableToAssess):
    """The question came too late: its picture is no longer in the frame store."""

    reason = "picture_gone"
    retryable = False


@dataclass(frozen=True, slots=True)
class Pictures:
    """JPEG bytes of a frame and, for a question about a group, of the group's crop."""

    frame: bytes
    crop: bytes | None


def pictures_of(frame: DetectedFrame, group_index: int, fetch: Callable[[str], bytes | None]) -> Pictures:
    """What the frame store still holds; raises PictureGone when the frame is gone."""
    whole = fetch(frame.frame_key)
    if whole is None:
        message = f"The picture of frame {frame.frame_key} is no longer kept."
        raise PictureGone(message)
    crop = fetch(f"{frame.frame_key}:{group_index}") if group_index != WHOLE_FRAME else None
    return Pictures(whole, crop)


def keep_evidence(assessment_id: int, pictures: Pictures) -> None:
    """Write the pictures to the media storage, once for each kind."""
    for kind, jpeg in ((EvidenceKind.FRAME, pictures.frame), (EvidenceKind.CROP, pictures.crop)):
        if jpeg and not Evidence.objects.filter(assessment_id=assessment_id, kind=kind).exists():
            row = Evidence(assessment_id=assessment_id, kind=kind, sha256=hashlib.sha256(jpeg).hexdigest())
            row.picture.save(f"{assessment_id}-{kind}.jpg", ContentFile(jpeg), save=True)


def forget_evidence(*, before: datetime, most: int = 5000) -> int:
    """Delete up to `most` pictures kept before a moment, files and rows; how many went."""
    old = list(Evidence.objects.filter(created_at__lt=before).order_by("created_at")[:most])
    for row in old:
        row.picture.delete(save=False)
    Evidence.objects.filter(pk__in=[row.pk for row in old]).delete()
    return len(old)
