"""What requests to all vendors and their replies are made of."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assessment.clients.failures import ProviderFailed, UnableToAssess, failure_of, has_code
from assessment.limits import LONGEST_COOLDOWN_SECONDS

TEMPERATURE = 0.1
"""The same scene should be judged the same way twice."""

MAX_OUTPUT_TOKENS = 1024
"""About four times a usual verdict; an answer cut off here is still repaired by the parser."""

MAX_ANSWER_CHARACTERS = 100_000

MAX_MESSAGE_CHARACTERS = 300
"""Of the provider's words kept in an exception: enough to act on, too little to flood a log."""

MAX_RETRY_AFTER_SECONDS = 3600.0

_JSON_MODELS = ("qwen-vl-max", "qwen-vl-plus", "qwen3")
_THINKING_MODELS = ("qwen3",)


def takes_json_mode(model: str) -> bool:
    """Whether DashScope can tell `model` to answer in JSON only."""
    return model.startswith(_JSON_MODELS)


def may_think(model: str) -> bool:
    """Whether `model` may think at length first unless DashScope is told that it must not."""
    return model.startswith(_THINKING_MODELS)


def data_uri(picture: bytes) -> str:
    """A PNG or JPEG as text that a message can hold; whatever is no PNG is called a JPEG."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class Told:
    """A refusal as it came: code and message in the provider's own words, headers in lower case."""

    status: int
    code: str
    message: str
    request_id: str
    headers: Mapping[str, str]


def refusal(told: Told, *, api_key: str, failure: type[UnableToAssess] | None = None) -> UnableToAssess:
    """The failure that the refusal is, or is given to be, without the key that providers like to repeat."""
    message = hide(told.message, api_key)[:MAX_MESSAGE_CHARACTERS]
    kind = failure or failure_of(told.status, told.code, message)
    words = message or told.code or f"HTTP {told.status}"
    return kind(
        in_between(told.status, words) if kind is ProviderFailed and told.status in range(400, 500) else words,
        status=told.status,
        code=told.code,
        request_id=told.request_id[:MAX_MESSAGE_CHARACTERS],
        retry_after_seconds=_retry_after(told),
    )


def in_between(status: int, what: str) -> str:
    """The words for a reply outside the provider's protocol."""
    return f"HTTP {status}, perhaps of a proxy or gateway before the provider: {what}"[:MAX_MESSAGE_CHARACTERS]


def hide(text: str, api_key: str) -> str:
    """The text without the key."""
    return text.replace(api_key, "***") if api_key else text


def _retry_after(told: Told) -> float | None:
    """Seconds, no more than a cooldown's where that may be the word of a proxy; a date, which the header may also hold,
    is not worth reading: cooldowns are as short as a minute."""
    try:
        seconds = float(told.headers.get("retry-after", ""))
    except ValueError:
        return None
    longest = MAX_RETRY_AFTER_SECONDS if has_code(told.code) else LONGEST_COOLDOWN_SECONDS
    return min(seconds, longest) if 0 <= seconds <= MAX_RETRY_AFTER_SECONDS else None


def code_and_message(reply: Mapping[str, Any]) -> tuple[str, str]:
    """What a refusal says: at its top (DashScope, and as `detail` FastAPI), or in `error` (OpenAI and its like).

    Where the code is a number, as some servers repeat the status, or missing, the type stands for it.
    """
    error = reply.get("error") or reply
    if isinstance(error, str):
        return "", error
    if not isinstance(error, Mapping):
        return "", ""
    codes = (each for each in (error.get("code"), error.get("type")) if isinstance(each, str))
    return next(filter(None, codes), ""), str(error.get("message") or error.get("detail") or "")


def joined(content: object) -> str:
    """The text of a message, which is a list of parts or one string; "" where it is neither."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def count(value: object) -> int:
    """A number of tokens, 0 where it is none."""
    return value if isinstance(value, int) and value >= 0 else 0
