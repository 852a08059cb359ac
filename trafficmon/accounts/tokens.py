"""API tokens: issued, found by what a program shows, revoked."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db.models import Q

from trafficmon.accounts.models import ApiToken
from trafficmon.core.clock import utc_now

PREFIX = "tm_"
"""By which scanners of source code find a token that was left there."""
SHOWN = 8
USE_NOTED_EVERY = timedelta(minutes=1)


def issue(token: ApiToken, *, now: datetime) -> str:
    """Give an unsaved token its secret and save it; the secret is known to the caller alone."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token.start, token.digest, token.created_at = secret[:SHOWN], digest_of(secret), now
    token.save()
    return secret


def digest_of(secret: str) -> str:
    """A plain digest is enough: nobody tries out 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find(secret: str) -> ApiToken | None:
    """The usable token with this secret, with its owner; its use is noted."""
    now = utc_now()
    token = ApiToken.objects.usable(now).filter(digest=digest_of(secret)).first()
    if token and (token.used_at is None or token.used_at < now - USE_NOTED_EVERY):
        before = Q(used_at=None) | Q(used_at__lt=now - USE_NOTED_EVERY)
        ApiToken.objects.filter(before, pk=token.pk).update(used_at=now)
    return token


def find_by_number(token_id: int) -> ApiToken | None:
    """The same, for who has shown the secret before, as long as it is usable."""
    return ApiToken.objects.usable(utc_now()).filter(pk=token_id).first()


def revoke(token: ApiToken, *, now: datetime) -> bool:
    """Let it open nothing any more; False where that was so already."""
    return bool(ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now))
