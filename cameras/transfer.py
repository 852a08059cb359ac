"""Cameras with all that is drawn on them as a file, CSV or JSON: written with masked addresses, read all or nothing.

A camera is known by its name. What a row leaves out stays as it is; an address as it is written here, masked, keeps its
password. Zones and lines are replaced as a whole where a row has them; those of a known name stay the same ones.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.db import transaction
from django.forms.models import model_to_dict
from django.utils.translation import gettext as _
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from cameras.addresses import mask_credentials
from cameras.drawings import Drawing, UnusableDrawing, read_drawing, replace_drawing
from cameras.forms import CameraForm
from cameras.models import Camera, CameraGroup

PLAIN = ("name", "group", "source", "detection_source", "sampling", "frame_interval")
SWITCHES = ("detection_enabled", "assessment_enabled")
DRAWN = ("calibration", "zones", "lines")
COLUMNS = (*PLAIN, *SWITCHES, "wanted", *DRAWN)
MOST_ROWS = 1000
MOST_BYTES = 5_000_000
_SWITCHED = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a row. `line` is that of the file, or of JSON the number of the camera in the list."""

    line: int
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The names of the cameras that are new, and of those that were there."""

    added: tuple[str, ...]
    changed: tuple[str, ...]


class UnusableFile(Exception):
    """Nothing was changed; `mistakes` says what is wrong, all of it."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(each.message for each in mistakes))
        self.mistakes = tuple(mistakes)


def as_json(cameras: Iterable[Camera]) -> str:
    return json.dumps([_told(each) for each in cameras], ensure_ascii=False, indent=2) + "\n"


def as_csv(cameras: Iterable[Camera]) -> str:
    """One camera a line; what is drawn as JSON in its cell."""
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    for camera in cameras:
        lines.writerow([_cell(name, value) for name, value in _told(camera).items()])
    return text.getvalue()


def _told(camera: Camera) -> dict[str, Any]:
    without_ids: Any = {"zones": {"__all__": {"id"}}, "lines": {"__all__": {"id"}}}
    drawing = read_drawing(camera).model_dump(mode="json", exclude=without_ids)
    fields = {name: getattr(camera, name) for name in COLUMNS if name not in {"group", "zones", "lines"}}
    masked = {name: mask_credentials(fields[name]) for name in ("source", "detection_source")}
    told = {**fields, **masked, "group": camera.group.name if camera.group else "", **drawing}
    return {name: told[name] for name in COLUMNS}


def _cell(name: str, value: Any) -> Any:
    if name in DRAWN:
        return json.dumps(value, ensure_ascii=False) if value else ""
    if name in SWITCHES:
        return "yes" if value else "no"
    # No text is ever taken for a formula; the sign before it is taken away again when it is read.
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def read_rows(text: str, *, is_json: bool) -> list[tuple[int, Row]]:
    """The rows of a file with their lines; raises UnusableFile where it is no such file."""
    rows = _json_rows(text) if is_json else _csv_rows(text)
    if not rows:
        raise UnusableFile([Mistake(1, "", _("There is no camera in this file."))])
    if len(rows) > MOST_ROWS:
        raise UnusableFile([Mistake(1, "", _("There are more than %d cameras in this file.") % MOST_ROWS)])
    return rows


def _json_rows(text: str) -> list[tuple[int, Row]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise UnusableFile([Mistake(line, "", _("This is no JSON: %s") % error)]) from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UnusableFile([Mistake(1, "", _("A list of cameras is needed, as an export has it."))])
    return list(enumerate(found, 1))


def _csv_rows(text: str) -> list[tuple[int, Row]]:
    lines = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[tuple[int, Row]] = []
    begins = 2
    try:
        for row in lines:
            rows.append((begins, row))
            begins = lines.line_num + 1
    except csv.Error as error:
        raise UnusableFile([Mistake(begins, "", _("This is no CSV: %s") % error)]) from None
    return rows


def import_cameras(rows: Sequence[tuple[int, Row]], *, is_json: bool) -> Imported:
    """Add and change the cameras; raises UnusableFile with every mistake, and changes nothing then."""
    mistakes: list[Mistake] = []
    names: dict[bool, list[str]] = {True: [], False: []}
    with transaction.atomic():
        for line, cells in rows:
            row, problems = (cells, []) if is_json else _from_cells(cells)
            name = str(row.get("name") or "").strip()
            if name in (*names[True], *names[False]):
                problems.append(_("name: this camera is in the file twice."))
            elif problems != [_uneven()]:
                is_new, more = _import(row, name)
                names[is_new].append(name)
                problems += more
            mistakes += [Mistake(line, name, message) for message in problems]
        if mistakes:
            raise UnusableFile(mistakes)
    return Imported(tuple(names[True]), tuple(names[False]))


def _uneven() -> str:
    return _("This line has not as many cells as the first one.")


def _from_cells(cells: Row) -> tuple[Row, list[str]]:
    """A row of CSV as one of JSON has it, without the cells that cannot be read, and what is wrong with those."""
    if None in cells or None in cells.values():
        return {"name": cells.get("name")}, [_uneven()]
    row: dict[str, Any] = {}
    problems = []
    for name, text in cells.items():
        try:
            row[name] = _value(name, text.strip())
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return row, problems


def _value(name: str, text: str) -> Any:
    """What a cell says; raises ValueError with what is wrong."""
    if name in DRAWN:
        return _drawn(text or ("null" if name == "calibration" else "[]"))
    if name in SWITCHES:
        if text.lower() not in _SWITCHED:
            raise ValueError(_("Say yes or no."))
        return _SWITCHED[text.lower()]
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _drawn(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(_("This is no JSON: %s") % error) from None


def _import(row: Row, name: str) -> tuple[bool, list[str]]:
    """Write one camera: whether it is new, and what is wrong with it."""
    unknown = sorted(set(row) - set(COLUMNS))
    problems = [_("There is nothing called %s.") % ", ".join(unknown)] if unknown else []
    camera = Camera.objects.select_for_update().filter(name=name).first() or Camera()
    is_new = camera.pk is None
    known = {column: value for column, value in row.items() if column in COLUMNS}
    problems += _save(camera, {**known, "name": name})
    if {"zones", "lines"} & set(row):
        problems += _draw(camera, row)
    return is_new, problems


def _save(camera: Camera, row: Row) -> list[str]:
    """Save what is not drawn, unless something is wrong with it, which is told."""
    given = {name: value for name, value in row.items() if name not in {"zones", "lines"}}
    problems = []
    if given.get("group"):
        group = CameraGroup.objects.filter(name=str(given["group"])).first()
        if group is None:
            problems.append(_("group: there is no camera group %s.") % given["group"])
        given["group"] = group.pk if group else None
    fields = {**model_to_dict(camera, CameraForm.Meta.fields), **given}
    form = CameraForm({**fields, "calibration": json.dumps(fields["calibration"])}, instance=camera)
    for field, errors in form.errors.items():
        text = " ".join(map(str, errors))
        problems.append(text if field == NON_FIELD_ERRORS else f"{field}: {text}")
    if not problems:
        form.save()
    return problems


def _draw(camera: Camera, row: Row) -> list[str]:
    """Replace what is drawn, on a camera that could be saved, and what is wrong with that."""
    kept = read_drawing(camera) if camera.pk else Drawing()
    try:
        drawing = _redrawn(kept, row)
        if camera.pk:
            replace_drawing(camera.pk, drawing, known=kept.version)
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False, include_input=False)
        return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in told]
    except UnusableDrawing as error:
        return [f"{each.part}.{each.place}.{each.field}: {each.message}" for each in error.problems]
    return []


def _redrawn(kept: Drawing, row: Row) -> Drawing:
    """The drawing with the row's zones and lines where it has some; raises ValidationError."""
    known = {"zones": {each.name: each.id for each in kept.zones}, "lines": {each.name: each.id for each in kept.lines}}
    parts = {part: _parts(row[part], known[part]) if part in row else getattr(kept, part) for part in known}
    return Drawing(**parts, calibration=kept.calibration)


def _parts(given: Any, known: Mapping[str, int | None]) -> Any:
    """Zones or lines; those of a known name are the kept ones. What is no list of such, the drawing refuses."""
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        return given
    spelled = ({to_camel(str(name)): value for name, value in each.items()} for each in given)
    return [{**each, "id": known.get(str(each.get("name", "")).strip())} for each in spelled]
