"""What a client may ask for, beyond watching."""

from __future__ import annotations

import asyncio

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from cameras.addresses import mask_credentials, unmask
from cameras.control import UnknownCamera, start_camera, stop_camera
from cameras.models import Camera
from cameras.sources import UnableToOpen, UnableToRead, probe
from trafficmon.accounts import audit
from trafficmon.accounts.access import Caller
from trafficmon.live import compose
from trafficmon.live.access import Access
from trafficmon.live.incoming import CheckCamera, StartStream, StopStream
from trafficmon.live.messages import CameraStatus
from trafficmon.live.reader import FrameReader

Command = StartStream | StopStream | CheckCamera

PROBE_PAUSE_SECONDS = 3
"""Between two connection tests of one user: each makes this server connect somewhere."""


class RefusedError(Exception):
    """A request that cannot be met: `code` for programs, the text says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


async def carry_out(command: Command, access: Access, reader: FrameReader) -> CameraStatus:
    """Do what was asked and answer with the camera's state; raises RefusedError."""
    camera_id = command.data.camera_id
    _require_visible(access, camera_id)
    match command:
        case StartStream():
            _require_operator(access)
            return await database_sync_to_async(_start)(camera_id, command.data.rtsp_url, access.caller)
        case StopStream():
            _require_operator(access)
            return await database_sync_to_async(_stop)(camera_id, access.caller)
        case CheckCamera():
            if command.data.rtsp_url:
                _require_operator(access)
            if not await reader.take_turn(f"probe:{access.user_id}", seconds=PROBE_PAUSE_SECONDS):
                raise RefusedError("busy", _("Wait a few seconds between two connection tests."))
            source = await database_sync_to_async(_source_of)(camera_id, command.data.rtsp_url, access.caller)
            return await asyncio.to_thread(_probe, camera_id, source)


def _require_visible(access: Access, camera_id: int) -> None:
    if camera_id not in access.cameras:
        raise RefusedError("unknown_camera", _("There is no such camera, or you may not see it. Ask an administrator."))


def _require_operator(access: Access) -> None:
    if not access.may_operate:
        raise RefusedError("forbidden", _("This needs the operator role. Ask an administrator."))


def _start(camera_id: int, source: str | None, by: Caller | None) -> CameraStatus:
    try:
        with transaction.atomic():
            camera = start_camera(camera_id, source=source)
            audit.record(by, "camera.start", camera, **({"source": camera.masked_source} if source else {}))
    except UnknownCamera as error:
        raise RefusedError("unknown_camera", str(error)) from error
    except ValidationError as error:
        raise RefusedError("impossible", " ".join(error.messages)) from error
    return compose.camera_status(camera).model_copy(update={"message": _("The camera was asked to start.")})


def _stop(camera_id: int, by: Caller | None) -> CameraStatus:
    try:
        with transaction.atomic():
            camera = stop_camera(camera_id)
            audit.record(by, "camera.stop", camera)
    except UnknownCamera as error:
        raise RefusedError("unknown_camera", str(error)) from error
    return compose.camera_status(camera).model_copy(update={"message": _("The camera was asked to stop.")})


def _source_of(camera_id: int, named: str | None, by: Caller | None) -> str:
    """The camera's own, or the one named, which is written down: this server connects there."""
    camera = Camera.objects.get(pk=camera_id)
    if not named:
        return str(camera.source)
    audit.record(by, "camera.test", camera, source=mask_credentials(named))
    return unmask(named, kept=camera.source)


def _probe(camera_id: int, source: str) -> CameraStatus:
    try:
        found = probe(source)
    except ValidationError as error:
        raise RefusedError("impossible", " ".join(error.messages)) from error
    except (UnableToOpen, UnableToRead) as error:
        return CameraStatus(camera_id=camera_id, status=0, message=str(error))
    text = _("It answers: %(width)d × %(height)d, %(codec)s.") % {
        "width": found.width,
        "height": found.height,
        "codec": found.codec,
    }
    return CameraStatus(camera_id=camera_id, status=1, message=text, latency_ms=round(found.latency_ms, 1))
