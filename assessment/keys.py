"""Which key makes a call.

One key for now, behind the interface that the pool of keys and accounts will fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from assessment.clients import UnableToAssess


class NoKeyError(UnableToAssess):
    """No API key is configured: set DASHSCOPE_API_KEY."""

    reason = "no_key"
    retryable = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to make one call with a key; only `key_id` may be shown."""

    key_id: str
    secret: str = field(repr=False)


@contextmanager
def take_lease() -> Iterator[Lease]:
    """Lend the configured key for one call; raises NoKeyError when there is none."""
    secret = settings.ENVIRONMENT.dashscope_api_key.get_secret_value()
    if not secret:
        raise NoKeyError
    yield Lease("default", secret)
