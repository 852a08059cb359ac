"""The OpenAPI document of the API, made of what its endpoints take and tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

import trafficmon
from trafficmon.api.answers import Operation, Paged, endpoints_of, operation_of
from trafficmon.live.messages import Part

_PARAMETER = re.compile(r"<(\w+):(\w+)>")
_TYPES = {"int": {"type": "integer"}, "str": {"type": "string"}}
_COMPONENT = "#/components/schemas/{model}"
_REFUSALS = {
    "400": "The request is wrong; `msg` says where.",
    "401": "Nobody is signed in, or the API token is no good.",
    "403": "The role or the token's scope does not reach.",
    "404": "There is no such thing, or it may not be seen.",
    "405": "Another method is needed here.",
}
_REFUSED = {
    "type": "object",
    "required": ["code", "msg", "data"],
    "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}, "data": {"type": "null"}},
}
_NEXT = {
    "description": "The address of the next page, with `rel=next`, where there is one.",
    "schema": {"type": "string"},
}
_ABOUT = (
    "Every answer is the envelope `{code, msg, data}`. Programs send an API token, whose scopes and whose owner's role "
    "and cameras say what it may. Lists come in pages: the header `Link` has the address of the next."
)


def document() -> dict[str, Any]:
    """The whole document; the same for the same code."""
    found = list(_operations())
    schemas = _schemas([operation for _path, _name, operation in found])
    paths: dict[str, dict[str, Any]] = {}
    for path, name, operation in found:
        paths.setdefault(_spelled(path), {})[operation.method.lower()] = _described(path, name, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "trafficmon", "version": trafficmon.__version__, "description": _ABOUT},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas.definitions, "Refused": _REFUSED},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
                "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A signed-in user."},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def as_text() -> str:
    return json.dumps(document(), indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def endpoints() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each path of the API that is an endpoint, and its view."""
    from trafficmon.api.urls import urlpatterns

    for pattern in urlpatterns:
        yield from ((f"/{pattern.pattern}", view) for view in endpoints_of(pattern.callback))


def _operations() -> Iterator[tuple[str, str, Operation]]:
    for path, view in endpoints():
        operation = operation_of(view)
        if operation:
            yield path, f"{view.__module__.rpartition('.')[2]}_{view.__name__}", operation


def _spelled(path: str) -> str:
    return _PARAMETER.sub(r"{\2}", path)


class _WithoutTitles(GenerateJsonSchema):
    """Those that pydantic makes of fields' names say nothing new."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002  # pydantic's signature
        return False


class _Schemas:
    """The schema of each model that is taken or told; those they are made of are in `definitions`."""

    def __init__(self, models: Mapping[Any, dict[str, Any]], definitions: dict[str, Any]) -> None:
        self._models = models
        self.definitions = dict(sorted(definitions.items()))

    def told(self, told: Any) -> dict[str, Any]:
        """The schema of an answer's `data`."""
        if get_origin(told) in {Paged, list}:
            return {"type": "array", "items": self._models[get_args(told)[0], "serialization"]}
        return self._models[told, "serialization"]

    def taken(self, form: type[BaseModel]) -> dict[str, Any]:
        """The schema of a body or of an address's parameters, by reference."""
        return self._models[form, "validation"]

    def properties(self, form: type[BaseModel]) -> dict[str, Any]:
        """Of each parameter of an address."""
        name = self.taken(form)["$ref"].rpartition("/")[2]
        properties: dict[str, Any] = self.definitions[name].get("properties", {})
        return properties


def _schemas(operations: list[Operation]) -> _Schemas:
    wanted: dict[tuple[type[BaseModel], Any], None] = {}
    for each in operations:
        wanted |= dict.fromkeys((form, "validation") for form in each.forms.values())
        told = get_args(each.tells)[0] if get_origin(each.tells) in {Paged, list} else each.tells
        if isinstance(told, type) and issubclass(told, Part):
            wanted[told, "serialization"] = None
    models, whole = models_json_schema(
        list(wanted), by_alias=True, ref_template=_COMPONENT, schema_generator=_WithoutTitles
    )
    return _Schemas(models, whole.get("$defs", {}))


def _described(path: str, name: str, operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    summary, _break, more = operation.summary.partition("\n\n")
    rights = f"Role {operation.role.value}; of a token the scope {operation.scope.value}."
    told: dict[str, Any] = {
        "operationId": name,
        "tags": [name.partition("_")[0]],
        "summary": " ".join(summary.split()),
        "description": f"{' '.join(more.split())}\n\n{rights}".strip(),
        "parameters": [*_path_parameters(path), *_query_parameters(operation, schemas)],
        "responses": {"200": _success(operation, schemas), **_refusals()},
    }
    if "body" in operation.forms:
        told["requestBody"] = {"content": _json(schemas.taken(operation.forms["body"]))}
    return told


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _TYPES[kind]}
        for kind, name in _PARAMETER.findall(path)
    ]


def _query_parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    if "query" not in operation.forms:
        return []
    properties = schemas.properties(operation.forms["query"])
    return [
        {"name": name, "in": "query", "required": False, "schema": _given(schema)}
        for name, schema in properties.items()
    ]


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is given: one that is left out is no null."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return choices[0] if len(choices) == 1 else schema


def _success(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    envelope = {
        "type": "object",
        "required": ["code", "msg", "data"],
        "properties": {
            "code": {"const": 200, "type": "integer"},
            "msg": {"type": "string"},
            "data": schemas.told(operation.tells),
        },
    }
    answer: dict[str, Any] = {"description": "OK", "content": _json(envelope)}
    if get_origin(operation.tells) is Paged:
        answer["headers"] = {"Link": _NEXT}
    return answer


def _refusals() -> dict[str, Any]:
    content = _json({"$ref": _COMPONENT.format(model="Refused")})
    return {code: {"description": text, "content": content} for code, text in _REFUSALS.items()}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
