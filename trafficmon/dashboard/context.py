"""What every page may show."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from assessment.disk_guard import is_full


def simulation(_request: HttpRequest) -> dict[str, object]:
    """Whether the model's answers are simulated, so that the banner says so."""
    return {"answers_are_simulated": settings.LLM_IS_SIMULATED}


def disk(_request: HttpRequest) -> dict[str, object]:
    """Whether the disk is too full for pictures to be kept."""
    return {"pictures_are_not_kept": is_full}
