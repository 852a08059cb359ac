"""What is drawn on a camera's picture as one thing: zones, lines and calibration, read and replaced together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

from cameras.calibrations import check_calibration
from cameras.models import Camera, CountingLine, Zone
from trafficmon.core.ids import new_token

MOST_SHAPES = 200
"""Zones or lines of one camera: more is a mistake of a program."""
CALIBRATION = "calibration"


class _Part(BaseModel):
    """Spelled in camel case outside. What numbers and names may be, the models' own rules say."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, extra="forbid", frozen=True
    )


class DrawnShape(_Part):
    """A zone or a line; without `id`, or with one that is gone, it is a new one."""

    id: int | None = None
    name: Annotated[str, StringConstraints(strip_whitespace=True)]


class DrawnZone(DrawnShape):
    """A polygon in shares of the picture."""

    kind: str
    polygon: JsonValue
    direction_degrees: float | None = Field(default=None, allow_inf_nan=False)
    minimum_seconds: float | None = Field(default=0, allow_inf_nan=False)
    classes: tuple[str, ...] = ()


class DrawnLine(DrawnShape):
    """A counting line, from one end to the other."""

    ends: JsonValue
    classes: tuple[str, ...] = ()


class Drawing(_Part):
    """All that is drawn on one camera's picture."""

    zones: tuple[DrawnZone, ...] = Field(default=(), max_length=MOST_SHAPES)
    lines: tuple[DrawnLine, ...] = Field(default=(), max_length=MOST_SHAPES)
    calibration: JsonValue = None

    @property
    def version(self) -> str:
        """The same of the same drawing, another of any other."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field of one part: of `zones`, `lines` or `calibration` that at `place`, from 0."""

    part: str
    place: int
    field: str
    message: str


class UnusableDrawing(Exception):
    """A drawing breaks the rules; `problems` says where and how."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(each.message for each in problems))
        self.problems = tuple(problems)


class DrawnMeanwhile(Exception):
    """Somebody else has changed what is drawn since it was read; `drawing` is how it is now."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__("The drawing was changed meanwhile.")
        self.drawing = drawing


@dataclass(frozen=True, slots=True)
class DrawingChange:
    """The names of what was added, changed and deleted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.deleted)


Row = TypeVar("Row", Zone, CountingLine)


def read_drawing(camera: Camera) -> Drawing:
    """What is drawn on the camera's picture now; two queries."""
    return Drawing(
        zones=tuple(DrawnZone.model_validate(each) for each in camera.zones.all()),
        lines=tuple(DrawnLine.model_validate(each) for each in camera.lines.all()),
        calibration=camera.calibration,
    )


@transaction.atomic
def replace_drawing(camera_id: int, wanted: Drawing, *, known: str) -> DrawingChange:
    """Write `wanted` in place of the version `known`, keeping the rows that it names; what changed by that.

    Raises Camera.DoesNotExist, DrawnMeanwhile where another version is there, UnusableDrawing. Nothing is written then.
    """
    camera = Camera.objects.select_for_update().only("calibration").get(pk=camera_id)
    kept = read_drawing(camera)
    if kept.version != known:
        raise DrawnMeanwhile(kept)
    zones = _rows(wanted.zones, {each.pk: each for each in camera.zones.all()}, Zone(camera=camera))
    lines = _rows(wanted.lines, {each.pk: each for each in camera.lines.all()}, CountingLine(camera=camera))
    problems = [*_mistakes("zones", zones), *_mistakes("lines", lines), *_calibration_mistakes(wanted.calibration)]
    if problems:
        raise UnusableDrawing(problems)
    _write(kept.zones, zones, camera.zones.all())
    _write(kept.lines, lines, camera.lines.all())
    Camera.objects.filter(pk=camera_id).update(calibration=wanted.calibration)
    return _change(kept, wanted)


def _rows(parts: Sequence[DrawnShape], kept: Mapping[int, Row], blank: Row) -> list[Row]:
    """A row for each part: the kept one that it names, else a new one like `blank`."""
    rows = []
    left = dict(kept)
    for part in parts:
        row = left.pop(part.id or 0, None) or type(blank)(camera=blank.camera)
        for name, value in part.model_dump(mode="json", exclude={"id"}).items():
            setattr(row, name, value)
        rows.append(row)
    return rows


def _mistakes(part: str, rows: Sequence[Zone | CountingLine]) -> Iterator[Problem]:
    """As the admin's forms find them, except that names are compared with those given, not with those kept."""
    names = Counter(row.name for row in rows)
    for place, row in enumerate(rows):
        try:
            row.full_clean(exclude={"camera"}, validate_unique=False, validate_constraints=False)
            _check_constraints(row)
        except ValidationError as error:
            yield from _told(part, place, error)
        if names[row.name] > 1:
            yield Problem(part, place, "name", _("Another one has this name, too."))


def _check_constraints(row: Zone | CountingLine) -> None:
    for constraint in row._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            constraint.validate(type(row), row)


def _calibration_mistakes(value: object) -> Iterator[Problem]:
    if value is None:
        return
    try:
        check_calibration(value)
    except ValidationError as error:
        yield from _told(CALIBRATION, 0, error)


def _told(part: str, place: int, error: ValidationError) -> Iterator[Problem]:
    # Of a constraint, or of a value by itself, there is no field to name.
    by_field: Mapping[str, list[str]] = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    for field, messages in by_field.items():
        yield from (Problem(part, place, field, str(message)) for message in messages)


def _write(kept: Sequence[DrawnShape], rows: Sequence[Zone | CountingLine], stored: Any) -> None:
    """Delete what is not there any more and save the rest. Names are given up first: two may have been exchanged."""
    stored.exclude(pk__in=[row.pk for row in rows if row.pk]).delete()
    names = {part.id: part.name for part in kept}
    for row in rows:
        if row.pk and names[row.pk] != row.name:
            stored.filter(pk=row.pk).update(name=new_token())
    for row in rows:
        row.save()


def _change(kept: Drawing, wanted: Drawing) -> DrawingChange:
    before: dict[tuple[type, int | None], DrawnShape] = {
        (type(each), each.id): each for each in (*kept.zones, *kept.lines)
    }
    after: tuple[DrawnShape, ...] = (*wanted.zones, *wanted.lines)
    known = {(type(each), each.id) for each in after}
    names = {
        "added": [each.name for each in after if (type(each), each.id) not in before],
        "changed": [each.name for each in after if before.get((type(each), each.id), each) != each],
        "deleted": [each.name for key, each in before.items() if key not in known],
    }
    if wanted.calibration != kept.calibration:
        names[_fate_of_calibration(kept, wanted)].append(CALIBRATION)
    return DrawingChange(**{fate: tuple(which) for fate, which in names.items()})


def _fate_of_calibration(kept: Drawing, wanted: Drawing) -> str:
    if kept.calibration is None:
        return "added"
    return "deleted" if wanted.calibration is None else "changed"
