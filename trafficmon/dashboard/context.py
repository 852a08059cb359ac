"""What every page may show."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from assessment.disk_guard import is_full
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role


def simulation(_request: HttpRequest) -> dict[str, object]:
    """Whether the model's answers are simulated, so that the banner says so."""
    return {"answers_are_simulated": settings.LLM_IS_SIMULATED}


def disk(_request: HttpRequest) -> dict[str, object]:
    """Whether the disk is too full for pictures to be kept."""
    return {"pictures_are_not_kept": is_full}


def rights(request: HttpRequest) -> dict[str, object]:
    """Which links stand at the top; who asks is looked up only where a page has them."""

    def may_supervise() -> bool:
        user = getattr(request, "user", None)
        return isinstance(user, User) and user.may(Role.SUPERVISOR)

    return {"may_supervise": may_supervise}
