"""What decodes pictures instead of the processor."""

from __future__ import annotations

import functools

import av
import structlog
from av.codec import Codec
from av.codec.hwaccel import HWAccel
from django.conf import settings

log = structlog.get_logger()


def decoding_device() -> HWAccel | None:
    """A decoder's part of the device that the installation names; None where the processor is to decode."""
    device = settings.ENVIRONMENT.hardware_decoding
    return HWAccel(device, allow_software_fallback=True) if device and _is_there(device) else None


@functools.cache
def _is_there(device: str) -> bool:
    """Whether this machine has it, tried once in a process."""
    try:
        HWAccel(device).create(Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError, OSError, ValueError) as error:
        log.warning("decoding.device_missing", device=device, error=str(error), instead="processor")
        return False
    log.info("decoding.device_found", device=device)
    return True
