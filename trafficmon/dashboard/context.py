"""What every page may show."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def simulation(_request: HttpRequest) -> dict[str, object]:
    """Whether the model's answers are simulated, so that the banner says so."""
    return {"answers_are_simulated": settings.LLM_IS_SIMULATED}
