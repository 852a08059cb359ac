"""The envelope `{"code", "msg", "data"}` that every answer of the API is in, who gets one, and what may be asked for.

An endpoint is a typed function: what it calls `query` is read from the address, `body` from the body, and its return
type is the `data` of the answer. The OpenAPI document is made of the same types.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from trafficmon.accounts.access import Caller, caller_of, names_a_token
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import SCOPE_OF, Role, Scope
from trafficmon.live.messages import Part

Arguments = ParamSpec("Arguments")
Form = TypeVar("Form", bound=BaseModel)
Item = TypeVar("Item", bound=Part)

MOST_BODY_BYTES = 100_000


class Refused(Exception):
    """A request is answered with this status and sentence."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg


class Asked(BaseModel):
    """What a request may say; anything else in it is refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Answer(Part):
    """What an endpoint tells; unlike in messages, what is not known is told as null."""

    def as_dict(self) -> dict[str, object]:
        return self.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class Paged(Generic[Item]):
    """One page of a list, and the cursor of the next where there is one."""

    items: list[Item]
    next_cursor: str | None = None


Told = Part | list[Any] | Paged[Any]
Endpoint = Callable[Concatenate[HttpRequest, User, Arguments], Told]


@dataclass(frozen=True, slots=True)
class Operation:
    """What an endpoint takes, tells, and asks of its caller."""

    method: str
    role: Role
    scope: Scope
    tells: Any
    forms: dict[str, type[BaseModel]] = field(default_factory=dict)
    summary: str = ""


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
        operation = _operation(view, method, role, needed)

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> JsonResponse:
            caller = caller_of(request)
            if caller is None:
                return _unknown_caller(request)
            if request.method != method:
                return _wrong_method(method)
            try:
                _require(caller, role, needed)
                forms: dict[str, Any] = {name: _READ[name](request, form) for name, form in operation.forms.items()}
                return _tell(request, view(request, caller.user, *args, **cast("Any", {**kwargs, **forms})))
            except Refused as refusal:
                return envelope(code=refusal.code, msg=refusal.msg)

        checked = _against_forgery(guarded)
        vars(checked)["operation"] = operation
        return checked

    return decorate


def by_method(*views: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """One address of several endpoints, each for a method of its own; another method is refused in the envelope."""
    methods = {vars(view)["operation"].method: view for view in views}

    @csrf_exempt  # each endpoint checks that by itself
    def dispatch(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        view = methods.get(request.method or "")
        return view(request, *args, **kwargs) if view else _wrong_method(", ".join(methods))

    vars(dispatch)["endpoints"] = views
    return dispatch


def endpoints_of(view: Callable[..., Any]) -> Sequence[Callable[..., Any]]:
    """The endpoints behind an address; none where it has another view."""
    return cast("Sequence[Callable[..., Any]]", vars(view).get("endpoints") or ([view] if operation_of(view) else []))


def operation_of(view: Callable[..., Any]) -> Operation | None:
    """What is known of an endpoint; None of other views."""
    return cast("Operation | None", vars(view).get("operation"))


def _operation(view: Callable[..., Any], method: str, role: Role, scope: Scope) -> Operation:
    hints = typing.get_type_hints(view)
    forms: dict[str, type[BaseModel]] = {name: hints[name] for name in _READ if name in hints}
    return Operation(method, role, scope, hints["return"], forms, inspect.getdoc(view) or "")


def _tell(request: HttpRequest, told: Told) -> JsonResponse:
    if isinstance(told, Paged):
        answer = envelope([each.as_dict() for each in told.items])
        if told.next_cursor:
            answer["Link"] = f'<{_with_cursor(request, told.next_cursor)}>; rel="next"'
        return answer
    return envelope([each.as_dict() for each in told] if isinstance(told, list) else told.as_dict())


def _with_cursor(request: HttpRequest, cursor: str) -> str:
    query = request.GET.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _wrong_method(method: str) -> JsonResponse:
    answer = envelope(code=405, msg=_("Use the method %s here.") % method)
    answer["Allow"] = method
    return answer


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


_READ: dict[str, Callable[[HttpRequest, Any], Any]] = {"query": read_query, "body": read_body}
