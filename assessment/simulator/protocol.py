"""DashScope's native multimodal-generation protocol: what a request must be, what replies and refusals look like."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assessment.simulator.pictures import NotAPicture, picture_size, picture_tokens, text_tokens

PATH = "/api/v1/services/aigc/multimodal-generation/generation"

MODELS = (
    "qwen-vl-plus",
    "qwen-vl-max",
    "qwen3-vl-plus",
    "qwen3-vl-flash",
    "qwen3.5-plus",
    "qwen3.5-flash",
    "qwen3.6-plus",
    "qwen3.6-flash",
    "qwen3.7-plus",
    "qwen3.7-flash",
    "qwen3.8-max",
    "qwen3.8-flash",
)
"""Those that take pictures; dated snapshots of them (`name-2026-01-02`, `name-latest`) are known too."""

MAX_PICTURE_URI_BYTES = 20 * 1024 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_DECODED_BYTES = 16 * 1024 * 1024
MIN_SIDE_PX = 10
MAX_ASPECT = 200


class Refusal(Exception):
    """A request is refused with this status, code and message, as the provider would."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


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


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in order: its words, the sizes of its pictures in pixels, and what it costs to read."""

    model: str
    system: str
    text: str
    sizes: tuple[tuple[int, int], ...]
    picture_tokens: int
    text_tokens: int


def read_request(body: object) -> Asked:
    """The request in `body` (parsed JSON); raises the Refusal the provider would answer with."""
    try:
        request = _Body.model_validate(body)
    except ValidationError as error:
        raise Refusal(400, "InvalidParameter", _first_mistake(error)) from None
    _check_model(request.model)
    system, text = _words(request, ("system",)), _words(request, ("user", "assistant"))
    if request.parameters.response_format.type == "json_object" and "json" not in f"{system} {text}".lower():
        message = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
        raise Refusal(400, "InvalidParameter", message)
    sizes = _picture_sizes(request)
    return Asked(
        model=request.model,
        system=system,
        text=text,
        sizes=sizes,
        picture_tokens=sum(picture_tokens(width, height, request.model) for width, height in sizes),
        text_tokens=text_tokens(system + text),
    )


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"<400> InternalError.Algo.InvalidParameter: {'.'.join(map(str, first['loc']))}: {first['msg']}"


def _check_model(model: str) -> None:
    if not any(model == known or model.startswith((f"{known}-20", f"{known}-latest")) for known in MODELS):
        raise Refusal(404, "ModelNotFound", f"The model {model!r} does not exist or you do not have access to it.")


def _words(request: _Body, roles: tuple[str, ...]) -> str:
    parts = (part for message in request.input.messages if message.role in roles for part in message.content)
    return "\n".join(part.text for part in parts if part.text is not None)


def _picture_sizes(request: _Body) -> tuple[tuple[int, int], ...]:
    images = [part.image for message in request.input.messages for part in message.content if part.image is not None]
    pictures = [_decoded(image) for image in images]
    if sum(map(len, pictures)) > MAX_DECODED_BYTES:
        raise Refusal(413, "RequestEntityTooLarge", "Exceeded limit on max bytes per request.")
    return tuple(_checked_size(picture) for picture in pictures)


def _decoded(image: str) -> bytes:
    if not image.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")):
        message = "The provided URL does not appear to be valid. Ensure it is correctly formatted."
        raise Refusal(400, "InvalidURL", message)
    if len(image) > MAX_PICTURE_URI_BYTES:
        message = f"Exceeded limit on max bytes per data-uri item : {MAX_PICTURE_URI_BYTES}"
        raise Refusal(400, "BadRequest.TooLarge", message)
    try:
        return base64.b64decode(image.partition(",")[2], validate=True)
    except binascii.Error:
        raise Refusal(400, "InvalidParameter.DataInspection", "Unable to decode the data URI.") from None


def _checked_size(picture: bytes) -> tuple[int, int]:
    try:
        width, height = picture_size(picture)
    except NotAPicture as error:
        message = f"The image format is illegal and cannot be opened: {error}"
        raise Refusal(400, "InvalidParameter", message) from None
    if min(width, height) <= MIN_SIDE_PX or max(width, height) > MAX_ASPECT * min(width, height):
        message = f"The image length and width do not meet the model restrictions. [height:{height} width:{width}]"
        raise Refusal(400, "InvalidParameter", message)
    return width, height


def reply_body(asked: Asked, answer: str) -> dict[str, Any]:
    """A whole answer, with its usage."""
    content = [{"text": answer}] if answer else []
    output_tokens = text_tokens(answer)
    return {
        "output": {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": content}}]},
        "usage": {
            "input_tokens": asked.picture_tokens + asked.text_tokens,
            "output_tokens": output_tokens,
            "total_tokens": asked.picture_tokens + asked.text_tokens + output_tokens,
            "image_tokens": asked.picture_tokens,
            "input_tokens_details": {"image_tokens": asked.picture_tokens, "text_tokens": asked.text_tokens},
            "output_tokens_details": {"text_tokens": output_tokens},
        },
        "request_id": str(uuid.uuid4()),
    }


def refusal_body(refusal: Refusal) -> dict[str, str]:
    """The JSON object that is sent with the refusal's status, under a new request id."""
    return {"code": refusal.code, "message": refusal.message, "request_id": str(uuid.uuid4())}
