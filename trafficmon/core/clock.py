"""Time at the edge: aware UTC, and its spelling in messages."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between which moments may be asked for: a few days to and fro, in whatever zone, are moments, too."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def spell(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as the outside contract wants it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_moment(text: str) -> datetime:
    """The aware moment spelled by `text`; raises ValueError when it names no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no time zone"
        raise ValueError(message)
    return moment.astimezone(UTC)
