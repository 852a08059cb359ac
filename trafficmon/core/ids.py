"""Names for things that live outside the database."""

from __future__ import annotations

import secrets


def new_token() -> str:
    """An unguessable 128-bit name, safe in URLs and Redis keys."""
    return secrets.token_hex(16)
