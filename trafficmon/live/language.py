"""In which language a socket is spoken to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from trafficmon.accounts import language


def language_of(scope: Mapping[str, Any]) -> str:
    """That of the pages which the same browser gets."""
    request = HttpRequest()
    request.COOKIES = dict(scope.get("cookies", {}))
    headers = dict(scope["headers"])
    request.META["HTTP_ACCEPT_LANGUAGE"] = headers.get(b"accept-language", b"").decode("latin1")
    return language.language_of(request)
