"""The camera list of the back office, taken into ours: added and changed, never started, never deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, transaction
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from cameras.models import Camera, CameraGroup
from trafficmon.back_office.client import BackOfficeRefused, ask
from trafficmon.back_office.models import ImportedCamera

PATH = "cameras"
_WRAPPINGS = ("cameras", "list", "records", "rows", "items")
"""Below which of these the list is, where it is told as a page."""


class ListedCamera(BaseModel):
    """A camera as the back office tells it, in any of the usual spellings."""

    model_config = ConfigDict(coerce_numbers_to_str=True, str_strip_whitespace=True)

    number: str = Field(validation_alias=AliasChoices("id", "cameraId", "number"), min_length=1, max_length=100)
    name: str = Field(validation_alias=AliasChoices("name", "cameraName"), min_length=1, max_length=100)
    source: str = Field(validation_alias=AliasChoices("rtspUrl", "source", "streamUrl", "url"), min_length=1)
    group: str = Field(default="", validation_alias=AliasChoices("group", "groupName", "areaName"), max_length=100)

    @property
    def digest(self) -> str:
        """Tells whether anything has changed there."""
        return hashlib.sha256("\0".join((self.name, self.source, self.group)).encode()).hexdigest()


@dataclass(slots=True)
class Imported:
    """What came of an import: names of the added and changed, how many were left alone, why others were refused."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Cameras that came from there once and are not in the list any more. They are left as they are."""


def import_cameras(*, now: datetime) -> Imported:
    """Fetch the list and take it in, each camera by itself; raises BackOfficeRefused where there is no list."""
    listed, result = _listed(ask("GET", PATH)), Imported()
    known = {
        each.number: each for each in ImportedCamera.objects.filter(camera__removed_at=None).select_related("camera")
    }
    seen: set[str] = set()
    for number, each in enumerate(listed, 1):
        camera = _read(each, number, result)
        if camera and camera.number not in seen:
            seen.add(camera.number)
            _take_in(camera, known.get(camera.number), result, now)
    result.missing = sorted(known[number].camera.name for number in known.keys() - seen)
    return result


def _listed(told: Any) -> list[Any]:
    page = told if isinstance(told, dict) else {}
    rows = next((page[name] for name in _WRAPPINGS if isinstance(page.get(name), list)), told)
    if not isinstance(rows, list):
        raise BackOfficeRefused("The back office's answer has no list of cameras.")
    total = page.get("total")
    if isinstance(total, int) and total > len(rows):
        message = f"The back office told only {len(rows)} of its {total} cameras: let it tell all at once."
        raise BackOfficeRefused(message)
    return rows


def _read(told: Any, number: int, result: Imported) -> ListedCamera | None:
    try:
        return ListedCamera.model_validate(told)
    except ValidationError as error:
        missing = ", ".join(dict.fromkeys(str(each["loc"][0]) for each in error.errors() if each["loc"]))
        result.refused.append(f"entry {number}: {missing or 'no object'} missing or wrong")
        return None


def _take_in(told: ListedCamera, known: ImportedCamera | None, result: Imported, now: datetime) -> None:
    if known and known.digest == told.digest:
        result.unchanged += 1
        return
    try:
        with transaction.atomic():
            _write(told, known, now)
    except (DjangoValidationError, IntegrityError) as error:
        result.refused.append(f"{told.number} {told.name}: {_why(error)}")
    else:
        (result.changed if known else result.added).append(told.name)


def _write(told: ListedCamera, known: ImportedCamera | None, now: datetime) -> None:
    camera = known.camera if known else Camera()
    if camera.source != told.source:
        # The smaller stream would go on showing the place that the camera was taken from.
        camera.source, camera.detection_source = told.source, ""
    camera.name = told.name
    if told.group:
        camera.group = CameraGroup.objects.get_or_create(name=told.group)[0]
    camera.full_clean()
    # Only these: capture writes the others meanwhile.
    camera.save(update_fields=["name", "source", "detection_source", "group"] if known else None)
    ImportedCamera.objects.update_or_create(
        number=told.number, defaults={"camera": camera, "digest": told.digest, "imported_at": now}
    )


def _why(error: DjangoValidationError | IntegrityError) -> str:
    texts: Iterable[str] = error.messages if isinstance(error, DjangoValidationError) else ["it was added meanwhile"]
    return " ".join(texts)
