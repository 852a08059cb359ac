"""Whoever speaks OpenAI's protocol: vLLM, Ollama, DashScope's compatible mode, OpenAI itself.

Why it is one plain POST is in docs/decisions/0011-openai-compatible.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

from assessment.clients import Answer, Departing, Question
from assessment.clients.failures import (
    ContentBlocked,
    EmptyResponse,
    ModelForbidden,
    ModelOverloaded,
    ProviderFailed,
    ServerBusy,
    TokenLimited,
    UnableToAssess,
    UnknownModel,
    Unpaid,
    failure_of,
)
from assessment.clients.parts import (
    MAX_ANSWER_CHARACTERS,
    MAX_MESSAGE_CHARACTERS,
    MAX_OUTPUT_TOKENS,
    TEMPERATURE,
    Told,
    code_and_message,
    count,
    data_uri,
    joined,
    may_think,
    refusal,
    takes_json_mode,
)
from assessment.clients.sending import OneRequestSession
from assessment.reading import clean

_REASONING_MODELS = ("o1", "o3", "o4", "gpt-5")
"""Beginnings of the names of OpenAI's models that refuse `temperature` and `max_tokens`."""
REASONING_TOKENS = 8 * MAX_OUTPUT_TOKENS
"""Their limit is one for thoughts and answer together."""

_ELSEWHERE: Mapping[type[UnableToAssess], type[UnableToAssess]] = {
    UnknownModel: ModelForbidden,
    ModelOverloaded: ServerBusy,
}
"""At DashScope a missing or saturated model is so for every account. Elsewhere the next account is another server."""


class OpenAICompatibleClient:
    """Asks the server at `base_url` (up to and with `/v1`)."""

    def __init__(self, *, base_url: str, connections: int = 256, json_mode: bool = True) -> None:
        self._base_url = base_url.rstrip("/")
        self._is_dashscope = _is_dashscope(self._base_url)
        self._json_mode = json_mode
        self._session = OneRequestSession(self._base_url, connections=connections, is_answer=_is_answer)

    def ask(
        self, question: Question, *, api_key: str, timeout_seconds: float, departure: Departing | None = None
    ) -> Answer:
        """One request, one answer; raises the UnableToAssess that fits. Never logs or repeats the key."""
        way = self._session.begin_way(departure)
        response = self._post(question, api_key, timeout_seconds)
        if response.status_code != requests.codes.ok:
            raise self._refusal(response, api_key)
        return _answer(response, question.model, way.seconds)

    def _post(self, question: Question, api_key: str, seconds: float) -> requests.Response:
        headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        body = json.dumps(self._request(question)).encode("utf-8")
        try:
            return self._session.post(f"{self._base_url}/chat/completions", data=body, headers=headers, timeout=seconds)
        except ProviderFailed as error:
            if self._is_dashscope or error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            # Elsewhere it is one server's, or that of the proxy before it.
            raise ServerBusy(str(error), status=error.status) from None

    def close(self) -> None:
        """Give its pooled connections back."""
        self._session.close()

    def _request(self, question: Question) -> dict[str, Any]:
        model = question.model
        request: dict[str, Any] = {"model": model, "messages": messages_of(question), **_settings(model)}
        if self._json_mode and (takes_json_mode(model) or not self._is_dashscope):
            request["response_format"] = {"type": "json_object"}
        if self._is_dashscope and may_think(model):
            # Not part of the protocol, so others would refuse it.
            request["enable_thinking"] = False
        return request

    def _refusal(self, response: requests.Response, api_key: str) -> UnableToAssess:
        reply = response.json()
        code, message = code_and_message(reply)
        headers = {name.lower(): value for name, value in response.headers.items()}
        request_id = str(reply.get("request_id") or headers.get("x-request-id", ""))
        failure = failure_of(response.status_code, code, message, is_meant=_is_meant(reply))
        if not self._is_dashscope:
            failure = _meant_elsewhere(failure, response.status_code, code)
        told = Told(response.status_code, code, message, request_id, headers)
        return refusal(told, api_key=api_key, failure=failure)


def _is_dashscope(base_url: str) -> bool:
    """Whether codes and settings are those of DashScope's compatible mode."""
    address = urlsplit(base_url)
    return "compatible-mode" in address.path.split("/") or (address.hostname or "").endswith(".aliyuncs.com")


def _is_meant(reply: Mapping[str, Any]) -> bool:
    """Whether a refusal is of the protocol, of FastAPI below a server of it, or of an old vLLM; gateways say less."""
    return bool(reply.get("error") or reply.get("detail")) or reply.get("object") == "error"


def _meant_elsewhere(failure: type[UnableToAssess], status: int, code: str) -> type[UnableToAssess]:
    """OpenAI says with the very words which to DashScope mean a moment's throttle that there is no money left."""
    if failure is TokenLimited and code.lower() == "insufficient_quota":
        return Unpaid
    if failure is ProviderFailed and status == HTTPStatus.SERVICE_UNAVAILABLE:
        return ServerBusy
    return _ELSEWHERE.get(failure, failure)


def messages_of(question: Question) -> list[dict[str, Any]]:
    """The system's and the user's message, pictures inline and before the text."""
    pictures = [{"type": "image_url", "image_url": {"url": data_uri(picture)}} for picture in question.pictures]
    return [
        {"role": "system", "content": question.system},
        {"role": "user", "content": [*pictures, {"type": "text", "text": question.text}]},
    ]


def _settings(model: str) -> dict[str, Any]:
    if model.startswith(_REASONING_MODELS):
        return {"max_completion_tokens": REASONING_TOKENS}
    return {"temperature": TEMPERATURE, "max_tokens": MAX_OUTPUT_TOKENS}


def _is_answer(reply: dict[str, Any]) -> bool:
    return isinstance(reply.get("choices"), list)


class _Message(BaseModel):
    """What was thought before (`reasoning_content`, `reasoning`) is not read."""

    content: Any = None
    """Text or parts. No `str` of pydantic's, which has no half characters; those are cleaned away later."""


class _Choice(BaseModel):
    message: _Message = _Message()
    finish_reason: str | None = None


class _Reply(BaseModel):
    """What is read of a reply; its other fields differ from server to server."""

    choices: list[_Choice]
    usage: dict[str, Any] | None = None
    id: str | None = None


def _answer(response: requests.Response, model: str, seconds: float) -> Answer:
    try:
        reply = _Reply.model_validate(response.json())
    except ValidationError:
        message = "The reply is not of the OpenAI-compatible protocol."
        raise ProviderFailed(message, status=response.status_code) from None
    request_id = (response.headers.get("x-request-id") or reply.id or "")[:MAX_MESSAGE_CHARACTERS]
    choice = reply.choices[0] if reply.choices else _Choice()
    text = clean(joined(choice.message.content), MAX_ANSWER_CHARACTERS)
    usage = reply.usage or {}
    tokens = (count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")))
    if not text:
        kind, told = _no_text(choice), "The model answered with no text."
        raise kind(told, status=response.status_code, request_id=request_id, tokens_used=tokens)
    return Answer(
        text=text,
        model=model,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        request_id=request_id,
        seconds=seconds,
    )


def _no_text(choice: _Choice) -> type[UnableToAssess]:
    return ContentBlocked if choice.finish_reason == "content_filter" else EmptyResponse
