"""What every page may show."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role


def simulation(_request: HttpRequest) -> dict[str, object]:
    """Whether the model's answers are simulated, so that the banner says so."""
    return {"answers_are_simulated": settings.LLM_IS_SIMULATED}


def rights(request: HttpRequest) -> dict[str, object]:
    """Whether the pages for supervisors are offered."""
    user = getattr(request, "user", None)
    return {"may_supervise": isinstance(user, User) and user.may(Role.SUPERVISOR)}
