"""Alibaba DashScope through its own SDK; why in this way is in docs/decisions/0002-dashscope-sdk-call.md."""

from __future__ import annotations

import logging
from typing import Any

import requests

from assessment.clients import Answer, Departing, Question
from assessment.clients.failures import EmptyResponse, ProviderFailed, UnableToAssess
from assessment.clients.parts import (
    MAX_ANSWER_CHARACTERS,
    MAX_MESSAGE_CHARACTERS,
    MAX_OUTPUT_TOKENS,
    TEMPERATURE,
    Told,
    count,
    data_uri,
    joined,
    may_think,
    refusal,
    takes_json_mode,
)
from assessment.clients.sending import OneRequestSession
from assessment.reading import clean


class DashScopeClient:
    """Asks DashScope, or the bundled simulator, at `base_url` (up to and with `/api/v1`)."""

    def __init__(self, *, base_url: str, connections: int = 256, json_mode: bool = True) -> None:
        self._conversation = _load_conversation()
        self._base_url = base_url.rstrip("/")
        self._json_mode = json_mode
        self._session = OneRequestSession(self._base_url, connections=connections, is_answer=_is_answer)

    def ask(
        self, question: Question, *, api_key: str, timeout_seconds: float, departure: Departing | None = None
    ) -> Answer:
        """One request, one answer; raises the UnableToAssess that fits. Never logs or repeats the key."""
        way = self._session.begin_way(departure)
        try:
            reply = self._conversation.call(
                model=question.model,
                messages=messages_of(question),
                api_key=api_key,
                base_address=self._base_url,
                request_timeout=timeout_seconds,
                session=self._session,
                **parameters_for(question.model, json_mode=self._json_mode),
            )
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            # So the SDK fails on a reply that is not of its protocol; what it was may hold anything, so it is not told.
            message = f"The reply is not of DashScope's protocol ({type(error).__name__})."
            raise ProviderFailed(message) from None
        if reply.status_code != requests.codes.ok:
            raise _refusal(reply, api_key)
        return _answer(reply, question.model, way.seconds)

    def close(self) -> None:
        """Give its pooled connections back."""
        self._session.close()


def _is_answer(reply: dict[str, Any]) -> bool:
    return isinstance(reply.get("output"), dict)


def _load_conversation() -> Any:
    """The SDK's call, without its habit of uploading any text or picture part that names a file of this machine."""
    from dashscope import MultiModalConversation

    # The SDK logs every failure with its traceback, and at debug level whole requests with their pictures.
    logging.getLogger("dashscope").setLevel(logging.CRITICAL + 1)

    class InlineConversation(MultiModalConversation):
        @classmethod
        def _preprocess_messages(cls, model: str, messages: list[Any], api_key: str) -> bool:  # noqa: ARG003
            return False

    return InlineConversation


def messages_of(question: Question) -> list[dict[str, Any]]:
    """The system's and the user's message as DashScope wants them, pictures inline and before the text."""
    pictures = [{"image": data_uri(picture)} for picture in question.pictures]
    return [
        {"role": "system", "content": [{"text": question.system}]},
        {"role": "user", "content": [*pictures, {"text": question.text}]},
    ]


def parameters_for(model: str, *, json_mode: bool = True) -> dict[str, Any]:
    """The settings of a call that `model` understands."""
    parameters: dict[str, Any] = {
        "result_format": "message",
        "temperature": TEMPERATURE,
        "max_tokens": MAX_OUTPUT_TOKENS,
    }
    if json_mode and takes_json_mode(model):
        parameters["response_format"] = {"type": "json_object"}
    if may_think(model):
        parameters["enable_thinking"] = False
    return parameters


def _refusal(reply: Any, api_key: str) -> UnableToAssess:
    headers = {name.lower(): value for name, value in (reply.headers or {}).items()}
    code, message, request_id = (str(each or "") for each in (reply.code, reply.message, reply.request_id))
    return refusal(Told(reply.status_code, code, message, request_id, headers), api_key=api_key)


def _answer(reply: Any, model: str, seconds: float) -> Answer:
    text = clean(_text_of(reply.output), MAX_ANSWER_CHARACTERS)
    usage, request_id = reply.usage or {}, str(reply.request_id or "")[:MAX_MESSAGE_CHARACTERS]
    tokens = (count(usage.get("input_tokens")), count(usage.get("output_tokens")))
    if not text:
        told = "The model answered with no text."
        raise EmptyResponse(told, status=reply.status_code, request_id=request_id, tokens_used=tokens)
    return Answer(
        text=text,
        model=model,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        request_id=request_id,
        seconds=seconds,
    )


def _text_of(output: Any) -> str:
    """The words of the first choice, "" where there are none."""
    choices = (output or {}).get("choices") or []
    message = (choices[0].get("message") if choices else None) or {}
    return joined(message.get("content"))
