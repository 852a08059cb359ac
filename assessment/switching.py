"""Keys and accounts that people take out of the pool and put back, with who did so: alike by page and by API."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from assessment import keys
from assessment.models import Account, ApiKey
from trafficmon.accounts import audit
from trafficmon.accounts.access import Caller


@transaction.atomic
def take_out(row: ApiKey | Account, reason: str, *, by: Caller, now: datetime) -> bool:
    """Use it no more, from the next call on; False where that was so already. Without a reason it says by whom."""
    reason = reason or _("by %s") % by.user.get_username()
    take = keys.take_out_key if isinstance(row, ApiKey) else keys.take_out_account
    if not take(row.slug, reason, now=now):
        return False
    audit.record(by, f"{row._meta.model_name}.take_out", row, reason=reason)
    return True


@transaction.atomic
def put_back(row: ApiKey | Account, *, by: Caller) -> bool:
    """Use it again at once; False where nothing kept it from being used."""
    if not keys.put_back(type(row), row.slug):
        return False
    audit.record(by, f"{row._meta.model_name}.put_back", row)
    return True
