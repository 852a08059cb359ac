"""Cameras, with their zones and counting lines."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import Field

from cameras.models import Camera, CountingLine, Sampling, StreamState, Wanted, Zone, ZoneKind
from cameras.wording import in_words
from trafficmon.accounts.models import User
from trafficmon.api.answers import Answer, Paged, Refused, endpoint
from trafficmon.api.paging import Number, Order, Page, chosen
from trafficmon.core.clock import spell

Place = tuple[float, float]
"""[x, y] in shares of the picture's width and height."""

BY_NAME = Order("name", newest_first=False)
BY_NUMBER = Order("id", newest_first=False)


class Cameras(Page):
    """Which cameras; as many of them at once as an installation has."""

    limit: int = Field(default=1000, ge=1, le=1000)
    group: str | None = Field(default=None, max_length=100)
    wanted: Wanted | None = None
    state: StreamState | None = None


class CameraAnswer(Answer):
    """A camera as it is wanted (`wanted`) and as it was last seen (`state`, from `since` on)."""

    camera_id: int
    name: str
    group: str | None
    wanted: Wanted
    state: StreamState
    since: str | None
    last_frame_at: str | None
    last_error: str


class ZoneAnswer(Answer):
    """A polygon on a camera's picture. `directionDegrees` of a lane: 0 is to the right, 90 downwards."""

    zone_id: int
    camera_id: int
    name: str
    kind: ZoneKind
    polygon: list[Place]
    direction_degrees: float | None
    minimum_seconds: float
    classes: list[str]


class LineAnswer(Answer):
    """A counting line, from its first end to its second."""

    line_id: int
    camera_id: int
    name: str
    ends: tuple[Place, Place]
    classes: list[str]


class Calibration(Answer):
    """Four places of a flat road: in the picture, and on the road in metres."""

    picture: list[Place]
    road: list[Place]


class CameraDetail(CameraAnswer):
    """A camera with its switches, and what is drawn on its picture. Its address is nobody's here."""

    frame_interval: float | None
    sampling: Sampling
    detection_enabled: bool
    assessment_enabled: bool
    calibration: Calibration | None
    zones: list[ZoneAnswer]
    lines: list[LineAnswer]


class Zones(Page):
    """Whose zones, and of which kind."""

    camera_id: Number | None = None
    kind: ZoneKind | None = None


class Lines(Page):
    """Whose counting lines."""

    camera_id: Number | None = None


@endpoint("GET")
def listed(_request: HttpRequest, user: User, query: Cameras) -> Paged[CameraAnswer]:
    """The cameras that the user may see, by name, with what was last seen of each."""
    wanted = {"group__name": query.group, "wanted": query.wanted, "state": query.state}
    rows = Camera.objects.visible_to(user).select_related("group").filter(**chosen(wanted))
    return BY_NAME.page(rows.defer("source", "detection_source"), query, _camera)


def _camera(camera: Camera) -> CameraAnswer:
    return CameraAnswer(**_seen(camera))


def _seen(camera: Camera) -> dict[str, object]:
    return {
        "camera_id": camera.pk,
        "name": camera.name,
        "group": camera.group.name if camera.group else None,
        "wanted": camera.wanted,
        "state": camera.state,
        "since": spell(camera.state_since) if camera.state_since else None,
        "last_frame_at": spell(camera.last_frame_at) if camera.last_frame_at else None,
        "last_error": in_words(camera.last_error),
    }


@endpoint("GET")
def one(_request: HttpRequest, user: User, camera_id: int) -> CameraDetail:
    """One camera with its settings, zones and counting lines."""
    return camera_detail(user, camera_id)


def camera_detail(user: User, camera_id: int) -> CameraDetail:
    """Everything of a camera that is told; raises Refused where the user sees none of this number."""
    rows = Camera.objects.visible_to(user).select_related("group").prefetch_related("zones", "lines")
    camera = rows.defer("source", "detection_source").filter(pk=camera_id).first()
    if camera is None:
        raise Refused(404, _("There is no such camera, or you may not see it."))
    return CameraDetail(
        **_seen(camera),
        frame_interval=camera.frame_interval,
        sampling=Sampling(camera.sampling),
        detection_enabled=camera.detection_enabled,
        assessment_enabled=camera.assessment_enabled,
        calibration=Calibration.model_validate(camera.calibration) if camera.calibration else None,
        zones=[zone_answer(each) for each in camera.zones.all()],
        lines=[_line(each) for each in camera.lines.all()],
    )


@endpoint("GET")
def zones(_request: HttpRequest, user: User, query: Zones) -> Paged[ZoneAnswer]:
    """The zones of the cameras that the user may see."""
    rows = Zone.objects.filter(camera__in=Camera.objects.visible_to(user))
    wanted = {"camera": query.camera_id, "kind": query.kind}
    return BY_NUMBER.page(rows.filter(**chosen(wanted)), query, zone_answer)


def zone_answer(zone: Zone) -> ZoneAnswer:
    return ZoneAnswer(
        zone_id=zone.pk,
        camera_id=zone.camera_id,
        name=zone.name,
        kind=ZoneKind(zone.kind),
        polygon=zone.polygon,
        direction_degrees=zone.direction_degrees,
        minimum_seconds=zone.minimum_seconds,
        classes=zone.classes,
    )


@endpoint("GET")
def lines(_request: HttpRequest, user: User, query: Lines) -> Paged[LineAnswer]:
    """The counting lines of the cameras that the user may see."""
    rows = CountingLine.objects.filter(camera__in=Camera.objects.visible_to(user))
    return BY_NUMBER.page(rows.filter(**chosen({"camera": query.camera_id})), query, _line)


def _line(line: CountingLine) -> LineAnswer:
    return LineAnswer(line_id=line.pk, camera_id=line.camera_id, name=line.name, ends=line.ends, classes=line.classes)
