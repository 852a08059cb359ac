"""Who may see a page, or do what its buttons do."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from trafficmon.accounts.access import Caller, caller_of
from trafficmon.accounts.roles import Role


def allowed(request: HttpRequest, role: Role) -> Caller:
    """Who asks; raises PermissionDenied unless the role reaches."""
    caller = caller_of(request)
    if caller is None or not caller.may(role):
        raise PermissionDenied
    return caller
