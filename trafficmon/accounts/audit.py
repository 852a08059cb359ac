"""The log of who did what. Entries are only added; each names its actor and its object as they were then."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Model

from trafficmon.accounts.access import Caller
from trafficmon.accounts.models import AuditEntry
from trafficmon.core.clock import utc_now
from trafficmon.pruning import SECONDS

COMMAND_LINE = "command line"


def record(by: Caller | None, action: str, about: Model | None = None, **detail: object) -> None:
    """Add that `by` (None: somebody at the command line) did `action`, such as camera.start, to an object."""
    AuditEntry.objects.create(
        at=utc_now(),
        actor_id=by.user.pk if by else None,
        actor_name=by.user.get_username() if by else COMMAND_LINE,
        token=str(by.token)[:120] if by and by.token else "",
        action=action,
        detail=detail,
        address=by.address if by else None,
        **_named(about),
    )


def record_unknown(action: str, about: Model | None, address: str | None) -> None:
    """The same of somebody who has not said who they are."""
    AuditEntry.objects.create(at=utc_now(), action=action, address=address, **_named(about))


def _named(about: Model | None) -> dict[str, str]:
    return {"object_id": str(about.pk), "object_name": str(about)[:200]} if about is not None else {}


def forget_entries(*, before: datetime, seconds: float = SECONDS) -> int:
    """Delete the entries older than a moment; how many went."""
    return AuditEntry.objects.all().forget(before=before, seconds=seconds)
