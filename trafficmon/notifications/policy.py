"""When a notice of an alert is told: what comes together is merged; cooldowns and quiet hours hold back.

Nothing is lost: what is held back is told later. Rules over values: no database, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from assessment.risk import RiskLevel

NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of day until another, perhaps of the next day, in a time zone; high risks may be spared them."""

    begin: time
    end: time
    zone: ZoneInfo
    spares_high: bool = True

    def ends_after(self, moment: datetime) -> datetime | None:
        """When the quiet hours that hold at `moment` are over; None where none do."""
        local = moment.astimezone(self.zone)
        at, wraps = local.time(), self.begin > self.end
        if not (at >= self.begin or at < self.end if wraps else self.begin <= at < self.end):
            return None
        day = local.date() + timedelta(days=1 if wraps and at >= self.begin else 0)
        return datetime.combine(day, self.end, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a rule tells. With a `digest` all is told together at each multiple of it, else `merge` after it came."""

    merge: timedelta = NO_TIME
    camera_cooldown: timedelta = NO_TIME
    overall_cooldown: timedelta = NO_TIME
    digest: timedelta = NO_TIME
    quiet: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that has not been told."""

    notice_id: int
    camera_id: int
    level: RiskLevel
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """When the rule last told something, and of each camera when, and how grave it was."""

    last_at: datetime | None = None
    cameras: Mapping[int, tuple[datetime, RiskLevel]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which notices are told now, in one message, and from when on each of the others is to be looked at again."""

    now: tuple[int, ...]
    later: Mapping[int, datetime]


def plan(waiting: Sequence[Waiting], told: Told, terms: Terms, *, now: datetime) -> Plan:
    """Once one notice is due, all go with it that no cooldown and no quiet hours hold back."""
    due = {each.notice_id: _due_at(each, told, terms, now) for each in waiting}
    if not any(at <= now for at in due.values()):
        return Plan((), due)
    together = tuple(each.notice_id for each in waiting if _held_until(each, told, terms, now) <= now)
    return Plan(together, {number: at for number, at in due.items() if number not in together})


def _due_at(notice: Waiting, told: Told, terms: Terms, now: datetime) -> datetime:
    ready = _next_multiple(notice.created_at, terms.digest) if terms.digest else notice.created_at + terms.merge
    return _held_until(notice, told, terms, max(ready, now))


def _held_until(notice: Waiting, told: Told, terms: Terms, earliest: datetime) -> datetime:
    """`earliest`, or later where cooldowns or quiet hours say so."""
    at = max(earliest, told.last_at + terms.overall_cooldown) if told.last_at else earliest
    last = told.cameras.get(notice.camera_id)
    # What is graver than what was told of the camera is news.
    if last and notice.level.severity <= last[1].severity:
        at = max(at, last[0] + terms.camera_cooldown)
    return after_quiet(at, notice.level, terms.quiet)


def after_quiet(at: datetime, level: RiskLevel, quiet: QuietHours | None) -> datetime:
    """`at`, or the end of the quiet hours that it falls in."""
    if quiet is None or (quiet.spares_high and level is RiskLevel.HIGH):
        return at
    return quiet.ends_after(at) or at


def _next_multiple(moment: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return datetime.fromtimestamp((moment.timestamp() // seconds + 1) * seconds, UTC)


def pause_before(attempt: int) -> timedelta:
    """How long to wait after so many attempts have failed, before jitter: 10 s, then twice as long each time, up to 30
    minutes."""
    return timedelta(seconds=min(10 * 2 ** max(attempt - 1, 0), 1800))
