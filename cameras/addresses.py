"""Which addresses a camera may point to: a camera's URL is a request that our servers make for a user."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)


def mask_credentials(source: str) -> str:
    """`source` with user name and password replaced by asterisks."""
    return _CREDENTIALS.sub(r"\1***@", source)


def check_source(source: str) -> None:
    """Raise ValidationError unless `source` may be opened, saying what to do."""
