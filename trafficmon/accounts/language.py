"""In which language a reader is spoken to: the one chosen on a page, kept in a cookie; else the installation's."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation


def language_of(request: HttpRequest) -> str:
    """What its reader chose; where nothing was chosen, the installation's language, and in the demo the browser's."""
    if settings.DEMO:
        return translation.get_language_from_request(request)
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    return chosen if chosen in dict(settings.LANGUAGES) else str(settings.LANGUAGE_CODE)


class LanguageMiddleware(LocaleMiddleware):
    """Django's, which asks every browser for its language, held to the above."""

    def process_request(self, request: HttpRequest) -> None:
        translation.activate(language_of(request))
        request.LANGUAGE_CODE = translation.get_language()
