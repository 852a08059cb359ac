"""Why a camera gives no pictures: kept in English, and said in the language of whoever asks.

What capture writes down is read by people of several languages, long after and elsewhere.
"""

from __future__ import annotations

import functools
import re

from django.utils.translation import gettext, gettext_noop

KEPT_LANGUAGE = "en"
"""Of everything that is kept: the language the code is written in."""
NO_NEW_PICTURE = gettext_noop("No new picture comes.")
NOT_RUNNING = gettext_noop("Capture is not running.")
TOO_MANY_CAMERAS = gettext_noop("Too many cameras: see ALGO_MAX_CONCURRENT_STREAMS.")
CAPTURE_FAILED = gettext_noop("Capture failed unexpectedly; its log tells more.")
NO_EVIDENCE = gettext_noop("No evidence: %(reason)s")
NOT_REACHED = gettext_noop("The camera cannot be reached: %(reason)s (%(number)s).")
UNKNOWN_HOST = gettext_noop("The host %(host)s is not known here; check its spelling and the name server.")
NEVER_ALLOWED = gettext_noop("%(host)s (%(address)s) can never be used.")
PRIVATE_NETWORK = gettext_noop(
    "%(host)s (%(address)s) is in a private network. Name that network in %(variable)s to allow it."
)
NO_SUCH_FILE = gettext_noop("There is no video file %(name)s in the media folder.")
_WITH_VALUES = (NO_EVIDENCE, NOT_REACHED, UNKNOWN_HOST, NEVER_ALLOWED, PRIVATE_NETWORK, NO_SUCH_FILE)


def in_words(kept: str) -> str:
    """What is kept, in the language that is active; what is no text of ours stays as it is."""
    for template in _WITH_VALUES:
        if found := _pattern(template).fullmatch(kept):
            return gettext(template) % {name: in_words(value) for name, value in found.groupdict().items()}
    return gettext(kept) if kept else ""


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    """Of what the template becomes, whatever its values."""
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+)", re.escape(template)))
