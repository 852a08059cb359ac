"""The page of the system: what runs, what waits, what was dropped and why, and whether all it rests on answers."""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.contrib.auth.decorators import login_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from assessment.ladder import LadderLevel, LadderReason
from assessment.ledger import todays_ledger
from cameras.frames import connect_redis
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.rights import allowed
from workers.overview import Service, database_service, disks, fleet_standing, redis_service, versions
from workers.queues import Queue
from workers.supervision import seen_here

LEVEL_WORDS = {
    LadderLevel.ALL: _("everything is judged"),
    LadderLevel.URGENT_ONLY: _("only urgent groups are judged"),
    LadderLevel.CHEAPER_MODEL: _("only urgent groups are judged, by a cheaper model"),
    LadderLevel.GEOMETRY_ONLY: _("the model is not asked, nothing is judged"),
    LadderLevel.DETECTION_ONLY: _("nothing is judged, road users are only detected"),
}
REASON_WORDS = {
    LadderReason.NONE: "",
    LadderReason.TOO_LATE: _("answers come too late"),
    LadderReason.KEYS_COOLING: _("the key pool cannot keep up"),
    LadderReason.DATABASE_SLOW: _("the database cannot keep up"),
    LadderReason.BUDGET_SCARCE: _("the day's budget is nearly used up"),
    LadderReason.BUDGET_SPENT: _("the day's budget is used up"),
    LadderReason.NO_KEY: _("no API key can be used"),
    LadderReason.SWITCHED_OFF: _("it is switched off"),
}
PROCESS_WORDS = {
    "capture": _("Capture"),
    "detection": _("Detection"),
    "assessment": _("Assessment"),
    "results": _("Results"),
    "beat": _("Beat and sweep"),
}
QUEUE_WORDS = {
    Queue.DETECT: _("frames to detect"),
    Queue.ASSESS: _("questions"),
    Queue.ASSESS_URGENT: _("urgent questions"),
    Queue.RESULTS: _("frames to close"),
    Queue.OUTBOUND: _("notices and reports"),
    Queue.EXPORTS: _("events to export"),
}
FOLDER_WORDS = {"media": _("Pictures"), "run": _("Running files")}


@require_GET
@login_required
def system_page(request: HttpRequest) -> HttpResponse:
    """How everything is, kept fresh."""
    allowed(request, Role.SUPERVISOR)
    return render(request, "dashboard/system.html", _system())


@require_GET
@login_required
def system_now(request: HttpRequest) -> HttpResponse:
    """The part of the page that is fetched anew."""
    allowed(request, Role.SUPERVISOR)
    return render(request, "dashboard/system_now.html", _system())


def _system() -> dict[str, object]:
    client = connect_redis()
    return {
        "now": utc_now(),
        "services": [_answer(_("Database"), database_service), _answer("Redis", lambda: redis_service(client))],
        "versions": versions(),
        "disks": [(FOLDER_WORDS[each.name], each) for each in disks()],
        "supervised": seen_here(),
        **_fleet(client),
    }


def _answer(name: object, ask: Callable[[], Service]) -> tuple[object, Service | None]:
    try:
        return name, ask()
    except (DatabaseError, redis.RedisError):
        return name, None


def _fleet(client: redis.Redis) -> dict[str, object]:
    """What Redis knows of the fleet; nothing where it does not answer."""
    try:
        fleet = fleet_standing(client, now=utc_now())
        ledger = todays_ledger()
    except (DatabaseError, redis.RedisError):
        return {"fleet": None}
    return {
        "fleet": fleet,
        "nothing_runs": not any(fleet.processes.values()),
        "processes": [(PROCESS_WORDS[name], is_seen) for name, is_seen in fleet.processes.items()],
        "queues": [(QUEUE_WORDS[each.queue], each) for each in fleet.queues],
        "level_words": LEVEL_WORDS[fleet.ladder.level],
        "reason_words": REASON_WORDS[fleet.ladder.reason],
        "purse": ledger.pool,
    }
