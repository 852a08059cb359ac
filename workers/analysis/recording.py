"""The video file: what it is, and its samples on its own timeline."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import av
from av.container import InputContainer
from django.utils.translation import gettext as _

from cameras.models import Sampling
from cameras.sources import Picture, Terms, read_recording
from cameras.sources.errors import explain
from workers.analysis.findings import Recording

MOST_EVERY_SECONDS = 0.5
LEAST_EVERY_SECONDS = 0.1
LEAST_SAMPLES = 40
"""A short clip is sampled more densely, so that it still yields about this many frames."""


class RecordingUnusableError(Exception):
    """The recording cannot be analysed; the message is one sentence that says why."""


def look_at(path: Path, *, started_at: datetime | None) -> Recording:
    """What `path` is; its time starts at `started_at`, else when the file was last written.

    Raises RecordingUnusableError.
    """
    if not path.is_file():
        problem = _("%(path)s is no file.") if path.exists() else _("There is no file %(path)s.")
        raise RecordingUnusableError(problem % {"path": path})
    try:
        with path.open("rb"), av.open(str(path.resolve()), "r") as container:
            return _described(path, container, started_at)
    except PermissionError:
        raise RecordingUnusableError(_("You may not read %(path)s.") % {"path": path}) from None
    except (av.FFmpegError, OSError) as error:
        reason = explain(error)
        raise RecordingUnusableError(
            _("%(path)s cannot be read: %(reason)s") % {"path": path, "reason": reason}
        ) from None


def _described(path: Path, container: InputContainer, started_at: datetime | None) -> Recording:
    if not container.streams.video:
        raise RecordingUnusableError(_("There is no video in %(path)s.") % {"path": path})
    video = container.streams.video[0]
    return Recording(
        name=path.name,
        width=video.codec_context.width,
        height=video.codec_context.height,
        codec=video.codec_context.name,
        fps=float(video.average_rate or video.guessed_rate or 0),
        duration_seconds=float(container.duration or 0) / av.time_base,
        started_at=started_at or datetime.fromtimestamp(path.stat().st_mtime, UTC),
    )


def default_interval(recording: Recording, *, frame_interval_seconds: float) -> float:
    """Seconds between samples when nobody says: the fleet's, but half a second at most, less for a short clip."""
    longest = min(frame_interval_seconds, MOST_EVERY_SECONDS)
    if not recording.duration_seconds:
        return longest
    return min(longest, max(LEAST_EVERY_SECONDS, round(recording.duration_seconds / LEAST_SAMPLES, 2)))


def samples(path: Path, *, every_seconds: float) -> Iterator[tuple[float, Picture]]:
    """Pictures of the recording with their place in it, the first at 0.

    Every frame is decoded: nothing else is waiting for the machine, and samples keep their distance exactly. Raises
    UnableToOpen and UnableToRead.
    """
    first: float | None = None
    for position, burst in read_recording(path, Terms(every_seconds, Sampling.EVERY_FRAME)):
        first = position if first is None else first
        yield position - first, burst.pictures[-1]
