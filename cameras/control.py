"""What operators want of cameras: written down here, carried out by capture."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from cameras.addresses import check_source, unmask
from cameras.models import Camera, Wanted

SWITCHES = {"detection": _("Detection"), "assessment": _("Assessment")}
"""What of a camera can be switched off while it runs."""


class UnknownCamera(Exception):
    """There is no camera of this number."""

    def __init__(self, camera_id: int) -> None:
        super().__init__(gettext("There is no camera %(number)s.") % {"number": camera_id})


def start_camera(camera_id: int, *, source: str | None = None) -> Camera:
    """Want the camera running, from `source` where one is given; raises UnknownCamera or ValidationError."""
    changes: dict[str, Any] = {"wanted": Wanted.RUNNING}
    if source:
        changes["source"] = unmask(source, kept=_find(camera_id).source)
        check_source(changes["source"])
        # The smaller stream would go on showing the place that the camera was taken from.
        changes["detection_source"] = ""
    return _write(camera_id, changes)


def stop_camera(camera_id: int) -> Camera:
    """Want the camera stopped; raises UnknownCamera."""
    return _write(camera_id, {"wanted": Wanted.STOPPED})


def switch_camera(camera_id: int, name: str, *, on: bool) -> bool:
    """Switch one of SWITCHES on or off; whether it was otherwise before."""
    field = f"{name}_enabled"
    return bool(Camera.objects.filter(pk=camera_id).exclude(**{field: on}).update(**{field: on}))


def _write(camera_id: int, changes: dict[str, Any]) -> Camera:
    Camera.objects.filter(pk=camera_id).update(**changes)
    return _find(camera_id)


def _find(camera_id: int) -> Camera:
    try:
        return Camera.objects.get(pk=camera_id)
    except Camera.DoesNotExist:
        raise UnknownCamera(camera_id) from None
