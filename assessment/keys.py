"""Which key makes a call.

One key for now, behind the interface that the pool of keys and accounts will fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from assessment.clients import UnableToAssess

KEY_ID = "default"
"""Of the only key, as metrics name it."""


class NoKey(UnableToAssess):
    """There is no key to call with."""

    reason = "no_key"
    retryable = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to make one call with a key; only `key_id` may be shown."""

    key_id: str
    secret: str = field(repr=False)


@contextmanager
def take_lease() -> Iterator[Lease]:
    """Lend the configured key for one call; raises NoKey when there is none."""
    secret = settings.ENVIRONMENT.dashscope_api_key.get_secret_value()
    if not secret:
        raise NoKey("No API key is configured: set DASHSCOPE_API_KEY.")
    yield Lease(KEY_ID, secret)
