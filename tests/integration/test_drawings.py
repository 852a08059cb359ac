"""Zones, counting lines and calibration replaced as one drawing: what is kept, refused and written down."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from assessment.models import LineCount
from cameras.drawings import (
    Drawing,
    DrawingChange,
    DrawnMeanwhile,
    Problem,
    UnusableDrawing,
    read_drawing,
    replace_drawing,
)
from cameras.models import Camera, CountingLine, Zone
from tests.factories import make_camera
from tests.integration.test_camera_admin import form
from trafficmon.accounts.models import User

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]
ACROSS = [[0.1, 0.9], [0.9, 0.9]]
CALIBRATION = {"picture": [[0.2, 0.9], [0.8, 0.9], [0.6, 0.3], [0.4, 0.3]], "road": [[0, 0], [7, 0], [7, 40], [0, 40]]}


@pytest.fixture
def camera() -> Camera:
    camera = make_camera()
    Zone.objects.create(camera=camera, name="north", kind="lane", polygon=SQUARE, direction_degrees=90)
    Zone.objects.create(camera=camera, name="verge", kind="ignore", polygon=SQUARE)
    CountingLine.objects.create(camera=camera, name="gate", ends=ACROSS)
    return camera


def drawn(camera: Camera) -> Drawing:
    return read_drawing(Camera.objects.get(pk=camera.pk))


def zone(**changes: Any) -> dict[str, Any]:
    return {"name": "new", "kind": "parking", "polygon": SQUARE, **changes}


def edited(camera: Camera, **parts: Any) -> Drawing:
    """The camera's drawing with other parts, as a browser sends it."""
    return Drawing.model_validate({**drawn(camera).model_dump(mode="json", by_alias=True), **parts})


def replace(camera: Camera, wanted: Drawing) -> DrawingChange:
    return replace_drawing(camera.pk, wanted, known=drawn(camera).version)


def problems(camera: Camera, **parts: Any) -> list[Problem]:
    before = drawn(camera)
    with pytest.raises(UnusableDrawing) as refused:
        replace(camera, edited(camera, **parts))
    assert drawn(camera) == before
    return list(refused.value.problems)


def test_drawing_as_it_is_changes_nothing(camera: Camera) -> None:
    assert not replace(camera, drawn(camera))


def test_zones_lines_and_calibration_are_added_changed_and_deleted(camera: Camera) -> None:
    north, _verge = drawn(camera).zones
    moved = {**north.model_dump(mode="json", by_alias=True), "directionDegrees": 180, "minimumSeconds": 2}
    wanted = edited(camera, zones=[moved, zone(classes=["car"])], lines=[], calibration=CALIBRATION)
    assert replace(camera, wanted) == DrawingChange(("new", "calibration"), ("north",), ("verge", "gate"))
    kept, new = Zone.objects.all().order_by("pk")
    assert (kept.pk, kept.direction_degrees, kept.minimum_seconds) == (north.id, 180, 2)
    assert (new.name, new.kind, new.polygon, new.classes) == ("new", "parking", SQUARE, ["car"])
    assert Camera.objects.get().calibration == CALIBRATION
    assert not Zone.objects.filter(name="verge").exists()


def test_counts_of_a_line_that_is_moved_are_kept(camera: Camera) -> None:
    line = CountingLine.objects.get()
    hour = datetime(2026, 5, 4, 12, tzinfo=UTC)
    LineCount.objects.create(line=line, hour=hour, object_class="car", direction="forward", count=3)
    replace(camera, edited(camera, lines=[{"id": line.pk, "name": "gate 2", "ends": [[0.1, 0.8], [0.9, 0.8]]}]))
    assert LineCount.objects.get().line.name == "gate 2"


def test_two_zones_may_exchange_their_names(camera: Camera) -> None:
    north, verge = (each.model_dump(mode="json", by_alias=True) for each in drawn(camera).zones)
    replace(camera, edited(camera, zones=[{**north, "name": "verge"}, {**verge, "name": "north"}]))
    assert [(each.pk, each.name) for each in Zone.objects.order_by("pk")] == [
        (north["id"], "verge"),
        (verge["id"], "north"),
    ]


def test_zone_whose_row_is_gone_is_drawn_anew(camera: Camera) -> None:
    replace(camera, edited(camera, zones=[zone(id=99_999)]))
    assert [each.name for each in Zone.objects.all()] == ["new"]


def test_zone_of_another_camera_is_not_taken(camera: Camera) -> None:
    other = Zone.objects.create(camera=make_camera(), name="theirs", kind="ignore", polygon=SQUARE)
    replace(camera, edited(camera, zones=[zone(id=other.pk)]))
    other.refresh_from_db()
    assert other.name == "theirs"


def test_drawing_that_somebody_changed_meanwhile_is_not_overwritten(camera: Camera) -> None:
    known = drawn(camera).version
    Zone.objects.filter(name="north").update(direction_degrees=45)
    with pytest.raises(DrawnMeanwhile) as refused:
        replace_drawing(camera.pk, Drawing(), known=known)
    assert refused.value.drawing == drawn(camera)
    assert Zone.objects.count() == 2


def test_every_mistake_is_told_with_its_place(camera: Camera) -> None:
    few, stay = zone(polygon=[[0, 0], [1, 1]]), zone(name="stay", kind="ignore", minimumSeconds=3)
    told = problems(camera, zones=[zone(name=""), few, stay], lines=[{"name": "dot", "ends": [[0.1, 0.1], [0.1, 0.1]]}])
    assert told == [
        Problem("zones", 0, "name", "This field cannot be blank."),
        Problem("zones", 1, "polygon", "Give 3 to 100 corners as [[x, y], ...], each number between 0 and 1."),
        Problem("zones", 2, "", "What is watched or ignored has no least stay: leave it at 0."),
        Problem("lines", 0, "ends", "The two ends are too close to each other."),
    ]


def test_same_name_twice_is_refused_at_both(camera: Camera) -> None:
    told = problems(camera, zones=[zone(), zone()])
    assert [(each.place, each.field, each.message) for each in told] == [
        (place, "name", "Another one has this name, too.") for place in (0, 1)
    ]


@pytest.mark.parametrize("marks", [{}, [], {"picture": SQUARE}, {**CALIBRATION, "road": [[0, 0]] * 4}])
def test_calibration_that_measures_nothing_is_refused(camera: Camera, marks: object) -> None:
    assert [(each.part, each.place) for each in problems(camera, calibration=marks)] == [("calibration", 0)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "river"},
        {"polygon": [[0, 0], [1, 0], [1, 2]]},
        {"polygon": []},
        {"minimumSeconds": -1},
        {"minimumSeconds": 5, "kind": "include"},
        {"classes": ["horse"]},
        {"name": "x" * 101},
    ],
)
def test_admin_refuses_the_same_fields(client: Client, camera: Camera, wrong: dict[str, Any]) -> None:
    client.force_login(User.objects.create(username="chief", is_superuser=True, is_staff=True))
    told = [each.field for each in problems(camera, zones=[zone(**wrong)])]
    assert told == _refused_by_the_admin(client, zone(**wrong))


def _refused_by_the_admin(client: Client, given: dict[str, Any]) -> list[str]:
    lists = {name: json.dumps(given.get(name, [])) for name in ("polygon", "classes")}
    fields = {**lists, "name": given["name"], "kind": given["kind"], "minimum_seconds": given.get("minimumSeconds", 0)}
    answer = client.post(
        "/admin/cameras/camera/add/",
        form(**{"zones-TOTAL_FORMS": "1"}, **{f"zones-0-{name}": value for name, value in fields.items()}),
    )
    assert answer.status_code == 200
    [zones, _lines] = answer.context["inline_admin_formsets"]
    return [field.replace("__all__", "") for field in zones.formset.errors[0]]
