"""DashScope's native multimodal-generation protocol: what a request must be, what replies and refusals look like."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assessment.simulator.exchange import Asked, Dialect, Refusal, Words, check, wrong_shape
from assessment.simulator.pictures import text_tokens

PATH = "/api/v1/services/aigc/multimodal-generation/generation"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str | None = None
    image: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: Annotated[list[_Part], Field(min_length=1)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")

    messages: Annotated[list[_Message], Field(min_length=1)]


class _Format(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: Literal["text", "json_object", "json_schema"] = "text"


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    result_format: Literal["message", "text"] = "message"
    temperature: float = Field(default=0.7, ge=0, lt=2)
    top_p: float = Field(default=0.8, gt=0, le=1)
    top_k: int = Field(default=20, ge=0)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    max_tokens: int = Field(default=8192, ge=1, le=32_768)
    repetition_penalty: float = Field(default=1.0, gt=0)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    stop: str | list[str] | None = None
    response_format: _Format = _Format()
    enable_thinking: bool = False
    vl_high_resolution_images: bool = False


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    input: _Input
    parameters: _Parameters = _Parameters()


def read_request(body: object) -> Asked:
    """The request in `body` (parsed JSON); raises the Refusal the provider would answer with."""
    try:
        request = _Body.model_validate(body)
    except ValidationError as error:
        raise wrong_shape(error) from None
    parts = [part for message in request.input.messages for part in message.content]
    return check(
        Words(
            model=request.model,
            system=_joined(request, ("system",)),
            text=_joined(request, ("user", "assistant")),
            images=[part.image for part in parts if part.image is not None],
            json_mode=request.parameters.response_format.type == "json_object",
        )
    )


def _joined(request: _Body, roles: tuple[str, ...]) -> str:
    parts = (part for message in request.input.messages if message.role in roles for part in message.content)
    return "\n".join(part.text for part in parts if part.text is not None)


def reply_body(asked: Asked, answer: str) -> dict[str, Any]:
    """A whole answer, with its usage."""
    content = [{"text": answer}] if answer else []
    output_tokens = text_tokens(answer)
    return {
        "output": {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": content}}]},
        "usage": {
            "input_tokens": asked.input_tokens,
            "output_tokens": output_tokens,
            "total_tokens": asked.input_tokens + output_tokens,
            "image_tokens": asked.picture_tokens,
            "input_tokens_details": {"image_tokens": asked.picture_tokens, "text_tokens": asked.text_tokens},
            "output_tokens_details": {"text_tokens": output_tokens},
        },
        "request_id": str(uuid.uuid4()),
    }


def refusal_body(refusal: Refusal) -> dict[str, str]:
    """The JSON object that is sent with the refusal's status, under a new request id."""
    return {"code": refusal.code, "message": refusal.message, "request_id": str(uuid.uuid4())}


NATIVE = Dialect(read_request, reply_body, refusal_body)
