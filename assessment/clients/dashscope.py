"""Alibaba DashScope through its own SDK; why in this way is in docs/decisions/0002-dashscope-sdk-call.md."""

from __future__ import annotations

import base64
import logging
import time
from typing import Any

import requests

from assessment.clients import Answer, Question
from assessment.clients.failures import EmptyResponse, ProviderFailed, UnableToAssess, failure_of
from assessment.clients.sending import OneRequestSession
from assessment.reading import clean

TEMPERATURE = 0.1
"""The same scene should be judged the same way twice."""

MAX_OUTPUT_TOKENS = 1024
"""About four times a usual verdict; an answer cut off here is still repaired by the parser."""

MAX_ANSWER_CHARACTERS = 100_000

MAX_MESSAGE_CHARACTERS = 300
"""Of the provider's words kept in an exception: enough to act on, too little to flood a log."""

_JSON_MODELS = ("qwen-vl-max", "qwen-vl-plus", "qwen3")
"""Beginnings of the names of models that can be told to answer in JSON only."""

_THINKING_MODELS = ("qwen3",)
"""Beginnings of the names of models that may think at length first unless told not to."""


class DashScopeClient:
    """Asks DashScope, or the bundled simulator, at `base_url` (up to and with `/api/v1`)."""

    def __init__(self, *, base_url: str, connections: int = 128) -> None:
        self._conversation = _load_conversation()
        self._base_url = base_url.rstrip("/")
        self._session = OneRequestSession(self._base_url, connections=connections)

    def ask(self, question: Question, *, api_key: str, timeout_seconds: float) -> Answer:
        """One request, one answer; raises the UnableToAssess that fits. Never logs or repeats the key."""
        started = time.monotonic()
        try:
            reply = self._conversation.call(
                model=question.model,
                messages=messages_of(question),
                api_key=api_key,
                base_address=self._base_url,
                request_timeout=timeout_seconds,
                session=self._session,
                **parameters_for(question.model),
            )
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            # So the SDK fails on a reply that is not of its protocol; what it was may hold anything, so it is not told.
            message = f"The reply is not of DashScope's protocol ({type(error).__name__})."
            raise ProviderFailed(message) from None
        if reply.status_code != requests.codes.ok:
            raise _refusal(reply, api_key)
        return _answer(reply, question.model, time.monotonic() - started)

    def close(self) -> None:
        """Give its pooled connections back."""
        self._session.close()


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


def data_uri(picture: bytes) -> str:
    """A PNG or JPEG as text that a message can hold; whatever is no PNG is called a JPEG."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


def parameters_for(model: str) -> dict[str, Any]:
    """The settings of a call that `model` understands."""
    parameters: dict[str, Any] = {
        "result_format": "message",
        "temperature": TEMPERATURE,
        "max_tokens": MAX_OUTPUT_TOKENS,
    }
    if model.startswith(_JSON_MODELS):
        parameters["response_format"] = {"type": "json_object"}
    if model.startswith(_THINKING_MODELS):
        parameters["enable_thinking"] = False
    return parameters


def _refusal(reply: Any, api_key: str) -> UnableToAssess:
    code = str(reply.code or "")
    message = str(reply.message or "").replace(api_key, "***")[:MAX_MESSAGE_CHARACTERS]
    headers = {name.lower(): value for name, value in (reply.headers or {}).items()}
    failure = failure_of(reply.status_code, code, message)
    return failure(
        message or code or f"HTTP {reply.status_code}",
        status=reply.status_code,
        code=code,
        request_id=str(reply.request_id or "")[:MAX_MESSAGE_CHARACTERS],
        retry_after_seconds=_retry_after(headers.get("retry-after", "")),
    )


def _retry_after(text: str) -> float | None:
    """Seconds; a date, which the header may also hold, is not worth reading: cooldowns are as short as a minute."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 3600 else None


def _answer(reply: Any, model: str, seconds: float) -> Answer:
    text = clean(_text_of(reply.output), MAX_ANSWER_CHARACTERS)
    if not text:
        raise EmptyResponse("The model answered with no text.", status=reply.status_code, request_id=reply.request_id)
    usage = reply.usage or {}
    return Answer(
        text=text,
        model=model,
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        request_id=str(reply.request_id or "")[:MAX_MESSAGE_CHARACTERS],
        seconds=seconds,
    )


def _text_of(output: Any) -> str:
    """The words of the first choice, "" where there are none."""
    choices = (output or {}).get("choices") or []
    message = (choices[0].get("message") if choices else None) or {}
    return _joined(message.get("content") or "")


def _joined(content: Any) -> str:
    """The text of a message, which is a list of parts or, from some models, one string."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
