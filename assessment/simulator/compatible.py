"""The OpenAI-compatible protocol, as DashScope's compatible mode speaks it, and vLLM and Ollama at the shorter path."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assessment.simulator.exchange import Asked, Dialect, Refusal, Words, check, wrong_shape
from assessment.simulator.pictures import text_tokens

_BASES = ("/compatible-mode/v1", "/v1")
PATHS = tuple(f"{base}/chat/completions" for base in _BASES)
MODEL_PATHS = tuple(f"{base}/models" for base in _BASES)

_CODES = {
    "Throttling.RateQuota": "limit_requests",
    "Throttling.Concurrency": "limit_requests",
    "Throttling.BurstRate": "limit_burst_rate",
    "Throttling.AllocationQuota": "insufficient_quota",
    "InvalidApiKey": "invalid_api_key",
    "DataInspectionFailed": "data_inspection_failed",
    "ModelNotFound": "model_not_found",
    "InvalidParameter": "invalid_parameter_error",
}
"""What this protocol calls the native codes; the others are called the same."""
_INVALID_REQUESTS = frozenset({"invalid_api_key", "model_not_found", "invalid_parameter_error"})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _TextPart(_Strict):
    type: Literal["text"]
    text: str


class _ImageUrl(_Strict):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class _ImagePart(_Strict):
    type: Literal["image_url"]
    image_url: _ImageUrl
    min_pixels: int | None = None
    max_pixels: int | None = None


_Part = Annotated[_TextPart | _ImagePart, Field(discriminator="type")]


class _Message(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[_Part], Field(min_length=1)]
    name: str | None = None

    def texts(self) -> list[str]:
        if isinstance(self.content, str):
            return [self.content]
        return [part.text for part in self.content if isinstance(part, _TextPart)]

    def images(self) -> list[str]:
        if isinstance(self.content, str):
            return []
        return [part.image_url.url for part in self.content if isinstance(part, _ImagePart)]


class _Format(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"]


class _Body(_Strict):
    """The documented fields that make sense without tools and sound, and those that DashScope adds to them."""

    model: str
    messages: Annotated[list[_Message], Field(min_length=1)]
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: Literal[1] | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=32_768)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=32_768)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    logit_bias: dict[str, float] | None = None
    reasoning_effort: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    top_k: int | None = Field(default=None, ge=0)
    repetition_penalty: float | None = Field(default=None, gt=0)
    enable_thinking: bool | None = None
    vl_high_resolution_images: bool | None = None


def read_request(body: object) -> Asked:
    """The request in `body` (parsed JSON); raises the Refusal the provider would answer with."""
    try:
        request = _Body.model_validate(body)
    except ValidationError as error:
        raise wrong_shape(error) from None
    if request.stream:
        raise Refusal(400, "InvalidParameter", "This simulator does not stream: leave out `stream`, or say false.")
    return check(
        Words(
            model=request.model,
            system=_joined(request, ("system", "developer")),
            text=_joined(request, ("user", "assistant")),
            images=[image for message in request.messages for image in message.images()],
            json_mode=request.response_format is not None and request.response_format.type == "json_object",
        )
    )


def _joined(request: _Body, roles: tuple[str, ...]) -> str:
    return "\n".join(text for message in request.messages if message.role in roles for text in message.texts())


def reply_body(asked: Asked, answer: str) -> dict[str, Any]:
    """A whole answer, with its usage."""
    output_tokens = text_tokens(answer)
    message = {"role": "assistant", "content": answer}
    return {
        "id": f"chatcmpl-{uuid.uuid4()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": asked.input_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": asked.input_tokens + output_tokens,
            "prompt_tokens_details": {"image_tokens": asked.picture_tokens, "text_tokens": asked.text_tokens},
        },
    }


def refusal_body(refusal: Refusal) -> dict[str, Any]:
    """The JSON object that is sent with the refusal's status, under a new request id."""
    code = _CODES.get(refusal.code, refusal.code)
    kind = "invalid_request_error" if code in _INVALID_REQUESTS else code
    told = {"message": refusal.message, "type": kind, "param": None, "code": code}
    return {"error": told, "request_id": str(uuid.uuid4())}


def model_list(models: Sequence[str]) -> dict[str, Any]:
    """What `GET /v1/models` tells."""
    listed = [{"id": model, "object": "model", "created": 0, "owned_by": "simulator"} for model in models]
    return {"object": "list", "data": listed}


COMPATIBLE = Dialect(read_request, reply_body, refusal_body)
