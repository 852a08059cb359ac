"""The envelope `{"code", "msg", "data"}` that every answer of the API is in, and who gets one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from pydantic import BaseModel, ValidationError

from trafficmon.accounts.access import Caller, caller_of, names_a_token
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import SCOPE_OF, Role, Scope

Arguments = ParamSpec("Arguments")
Endpoint = Callable[Concatenate[HttpRequest, User, Arguments], JsonResponse]
Form = TypeVar("Form", bound=BaseModel)

MOST_BODY_BYTES = 100_000


class Refused(Exception):
    """A request is answered with this status and sentence."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg


def envelope(data: object = None, *, code: int = 200, msg: str = "OK") -> JsonResponse:
    return JsonResponse({"code": code, "msg": msg, "data": data}, status=code)


def endpoint(
    method: str, *, role: Role = Role.VIEWER, scope: Scope | None = None
) -> Callable[[Endpoint[Arguments]], Callable[..., HttpResponseBase]]:
    """For users of at least this role and one method only; every refusal is in the envelope.

    An API token needs the scope: unless another is named, `read` to look, and that of the role to change something.
    """
    needed = scope or (Scope.READ if method == "GET" else SCOPE_OF[role])

    def decorate(view: Endpoint[Arguments]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> JsonResponse:
            caller = caller_of(request)
            if caller is None:
                return _unknown_caller(request)
            if request.method != method:
                answer = envelope(code=405, msg=_("Use the method %s here.") % method)
                answer["Allow"] = method
                return answer
            try:
                _require(caller, role, needed)
                return view(request, caller.user, *args, **kwargs)
            except Refused as refusal:
                return envelope(code=refusal.code, msg=refusal.msg)

        return _against_forgery(guarded)

    return decorate


def _against_forgery(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Django's check, but for tokens: no page can make a browser send one that it does not know itself."""
    checked = csrf_protect(view)

    @csrf_exempt
    @functools.wraps(view)
    def call(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return (view if names_a_token(request) else checked)(request, *args, **kwargs)

    return call


def _unknown_caller(request: HttpRequest) -> JsonResponse:
    if not names_a_token(request):
        return envelope(code=401, msg=_("Sign in first."))
    answer = envelope(code=401, msg=_("This API token is unknown, revoked or expired. Ask an administrator."))
    answer["WWW-Authenticate"] = "Bearer"
    return answer


def _require(caller: Caller, role: Role, scope: Scope) -> None:
    if not caller.user.may(role):
        raise Refused(403, _("This needs the %s role. Ask an administrator.") % role.label)
    if not caller.holds(scope):
        raise Refused(403, _("This API token lacks the scope %s.") % scope)


def read_body(request: HttpRequest, form: type[Form]) -> Form:
    """The JSON of the body; raises Refused with what is wrong in it."""
    if len(request.body) > MOST_BODY_BYTES:
        raise Refused(413, _("The body is larger than %d bytes.") % MOST_BODY_BYTES)
    return _read(lambda: form.model_validate_json(request.body or b"{}"))


def read_query(request: HttpRequest, form: type[Form]) -> Form:
    """The parameters of the address; raises Refused with what is wrong in them."""
    return _read(lambda: form.model_validate_strings(request.GET.dict()))


def _read(validate: Callable[[], Form]) -> Form:
    try:
        return validate()
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_context=False, include_input=False)
        told = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in mistakes[:5])
        raise Refused(400, told) from None
