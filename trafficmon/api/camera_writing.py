"""Cameras made, changed and deleted by programs, under the rules of the form that people fill in."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from django.forms.models import model_to_dict
from django.http import HttpRequest
from django.utils.translation import gettext as _
from pydantic import Field, JsonValue

from cameras.forms import CameraForm
from cameras.models import Camera, CameraGroup, Sampling, Wanted
from cameras.removal import remove
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.api.answers import Answer, Asked, Refused, endpoint
from trafficmon.api.cameras import CameraDetail, camera_detail
from trafficmon.api.writing import mistakes_of
from trafficmon.core.clock import utc_now

MAY_WRITE = Role.ADMINISTRATOR


class CameraChange(Asked):
    """What of a camera is to be changed; what is left out stays. `group` is a group's name, null for none.

    An address as the administration shows it, with its password masked, leaves that as it is. Null empties
    `frameInterval` and `calibration`; an empty `detectionSource` has both done on the source.
    """

    name: str = Field(default="", max_length=100)
    group: str | None = Field(default=None, max_length=100)
    source: str = Field(default="", max_length=2000)
    detection_source: str = Field(default="", max_length=2000)
    sampling: Sampling = Sampling.BURST
    frame_interval: float | None = None
    detection_enabled: bool = True
    assessment_enabled: bool = True
    calibration: JsonValue = None
    wanted: Wanted = Wanted.STOPPED


class NewCamera(CameraChange):
    """A new camera. It is not started unless `wanted` says so."""

    name: str = Field(min_length=1, max_length=100)
    source: str = Field(min_length=1, max_length=2000)


class Deleted(Answer):
    """What is gone."""

    id: int


@endpoint("POST", role=MAY_WRITE)
def create(request: HttpRequest, user: User, body: NewCamera) -> CameraDetail:
    """Add a camera."""
    with transaction.atomic():
        camera = _save(Camera(), body)
        audit.record(caller_of(request), "camera.add", camera)
    return camera_detail(user, camera.pk)


@endpoint("PATCH", role=MAY_WRITE)
def change(request: HttpRequest, user: User, camera_id: int, body: CameraChange) -> CameraDetail:
    """Change what the body names, and nothing else."""
    with transaction.atomic():
        camera = _save(_find(user, camera_id), body)
        changes = sorted(body.model_fields_set)
        audit.record(caller_of(request), "camera.change", camera, changes=changes)
    return camera_detail(user, camera_id)


@endpoint("DELETE", role=MAY_WRITE)
def delete(request: HttpRequest, user: User, camera_id: int) -> Deleted:
    """Delete a camera: it is stopped and gone at once, all that is known of it (zones, frames, alerts, pictures) within
    minutes, or hours where that is much."""
    with transaction.atomic():
        camera = _find(user, camera_id)
        audit.record(caller_of(request), "camera.delete", camera)
        remove(Camera.objects.filter(pk=camera_id), now=utc_now())
    return Deleted(id=camera_id)


def _find(user: User, camera_id: int) -> Camera:
    camera = Camera.objects.visible_to(user).select_for_update().filter(pk=camera_id).first()
    if camera is None:
        raise Refused(404, _("There is no such camera, or you may not see it."))
    return camera


def _save(camera: Camera, wish: CameraChange) -> Camera:
    """The camera with the wish on it; raises Refused with every mistake."""
    form = CameraForm(_fields(camera, wish), instance=camera)
    if not form.is_valid():
        raise Refused(400, mistakes_of(form.errors))
    saved: Camera = form.save()
    return saved


def _fields(camera: Camera, wish: CameraChange) -> dict[str, Any]:
    """What a browser would send."""
    given = wish.model_dump(mode="json", exclude_unset=camera.pk is not None)
    if "group" in given:
        given["group"] = _group(given["group"])
    fields = {**model_to_dict(camera, CameraForm.Meta.fields), **given}
    return {**fields, "calibration": json.dumps(fields["calibration"])}


def _group(name: str | None) -> int | None:
    if not name:
        return None
    group = CameraGroup.objects.filter(name=name).first()
    if group is None:
        raise Refused(400, _("group: there is no camera group %s.") % name)
    return group.pk
