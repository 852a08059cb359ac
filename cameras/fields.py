"""A text column that is encrypted at rest."""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings
from django.db import models

from trafficmon.core.encryption import decrypt, encrypt


@functools.lru_cache(maxsize=4096)
def _decrypted(token: str, key: str) -> str:
    """Capture reads every camera once a second, and the processes that read one keep its source in memory anyway."""
    return decrypt(token, key=key)


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # generic in the stubs only
    """Plain text in Python, a Fernet token in the database; it can therefore not be searched."""

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        """The plain text; raises UnreadableSecretError where it was encrypted under another key."""
        return _decrypted(value, settings.FIELD_KEY) if value else value

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encrypt(text, key=settings.FIELD_KEY) if text else text
