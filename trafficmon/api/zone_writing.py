"""Zones drawn, changed and deleted by programs, one at a time, under the rules of the editor."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import Field, JsonValue

from cameras.models import Camera, Zone, ZoneKind
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.api.answers import Asked, Refused, endpoint
from trafficmon.api.camera_writing import MAY_WRITE, Deleted
from trafficmon.api.cameras import ZoneAnswer, zone_answer
from trafficmon.api.writing import mistakes_of

ACTION = "camera.draw"
"""As the editor writes it down, which tells by that who has drawn meanwhile."""


class ZoneChange(Asked):
    """What of a zone is to be changed; the rest stays. The polygon is [[x, y], ...] in shares of the picture."""

    name: str = Field(default="", max_length=100)
    kind: ZoneKind = ZoneKind.INCLUDE
    polygon: JsonValue = None
    direction_degrees: float | None = Field(default=None, allow_inf_nan=False)
    minimum_seconds: float = Field(default=0, allow_inf_nan=False)
    classes: list[str] = []


class NewZone(ZoneChange):
    """A new zone of a camera."""

    camera_id: int = Field(ge=1, le=2**63 - 1)
    name: str = Field(min_length=1, max_length=100)
    kind: ZoneKind
    polygon: JsonValue


@endpoint("POST", role=MAY_WRITE)
def create(request: HttpRequest, user: User, body: NewZone) -> ZoneAnswer:
    """Draw a zone on a camera's picture."""
    with transaction.atomic():
        camera = _drawn_on(user, body.camera_id)
        zone = _save(Zone(camera=camera), body)
        audit.record(caller_of(request), ACTION, camera, added=[zone.name])
    return zone_answer(zone)


@endpoint("PATCH", role=MAY_WRITE)
def change(request: HttpRequest, user: User, zone_id: int, body: ZoneChange) -> ZoneAnswer:
    """Change what the body names, and nothing else."""
    with transaction.atomic():
        zone = _find(user, zone_id)
        camera = _drawn_on(user, zone.camera_id)
        zone = _save(_find(user, zone_id), body)
        audit.record(caller_of(request), ACTION, camera, changed=[zone.name])
    return zone_answer(zone)


@endpoint("DELETE", role=MAY_WRITE)
def delete(request: HttpRequest, user: User, zone_id: int) -> Deleted:
    """Delete a zone."""
    with transaction.atomic():
        zone = _find(user, zone_id)
        camera = _drawn_on(user, zone.camera_id)
        zone.delete()
        audit.record(caller_of(request), ACTION, camera, deleted=[zone.name])
    return Deleted(id=zone_id)


def _drawn_on(user: User, camera_id: int) -> Camera:
    """The camera, held: whoever saves a drawing of it waits, and then finds that it was changed."""
    camera = Camera.objects.visible_to(user).select_for_update().filter(pk=camera_id).first()
    if camera is None:
        raise Refused(404, _("There is no such camera, or you may not see it."))
    return camera


def _find(user: User, zone_id: int) -> Zone:
    zone = Zone.objects.filter(camera__in=Camera.objects.visible_to(user), pk=zone_id).first()
    if zone is None:
        raise Refused(404, _("There is no such zone, or you may not see its camera."))
    return zone


def _save(zone: Zone, wish: ZoneChange) -> Zone:
    """The zone with the wish on it; raises Refused with every mistake."""
    given = wish.model_dump(mode="json", exclude={"camera_id"}, exclude_unset=zone.pk is not None)
    for name, value in given.items():
        setattr(zone, name, value)
    try:
        zone.full_clean()
    except ValidationError as error:
        raise Refused(400, mistakes_of(error.message_dict)) from None
    zone.save()
    return zone
