"""The envelope `{"code", "msg", "data"}` that every answer of the API is in, and who gets one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from pydantic import BaseModel, ValidationError

from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role

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
    method: str, *, role: Role = Role.VIEWER
) -> Callable[[Endpoint[Arguments]], Callable[..., HttpResponseBase]]:
    """For signed-in users of at least this role and one method only; every refusal is in the envelope."""

    def decorate(view: Endpoint[Arguments]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> JsonResponse:
            if not isinstance(request.user, User):
                return envelope(code=401, msg=_("Sign in first."))
            if request.method != method:
                answer = envelope(code=405, msg=_("Use the method %s here.") % method)
                answer["Allow"] = method
                return answer
            if not request.user.may(role):
                return envelope(code=403, msg=_needs(role))
            try:
                return view(request, request.user, *args, **kwargs)
            except Refused as refusal:
                return envelope(code=refusal.code, msg=refusal.msg)

        return guarded

    return decorate


def _needs(role: Role) -> str:
    return _("This needs the %s role. Ask an administrator.") % role.label


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
