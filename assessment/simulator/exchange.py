"""What the simulator's protocols have in common: what may be asked, what it costs to read, and how it is refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from assessment.simulator.pictures import NotAPicture, picture_size, picture_tokens, text_tokens

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
    """A request is refused with this status, code and message, as the provider would; the code is the native one."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in order: its words, the sizes of its pictures in pixels, and what it costs to read."""

    model: str
    system: str
    text: str
    sizes: tuple[tuple[int, int], ...]
    picture_tokens: int
    text_tokens: int

    @property
    def input_tokens(self) -> int:
        return self.picture_tokens + self.text_tokens


@dataclass(frozen=True, slots=True)
class Dialect:
    """One protocol: reads a body (parsed JSON) or raises a Refusal, and spells a reply and a refusal as JSON."""

    read: Callable[[object], Asked]
    reply: Callable[[Asked, str], dict[str, Any]]
    refuse: Callable[[Refusal], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Words:
    """What a request says, whatever its protocol; `images` are data URIs."""

    model: str
    system: str
    text: str
    images: Sequence[str]
    json_mode: bool


def check(words: Words) -> Asked:
    """The request in order; raises the Refusal the provider would answer with."""
    if not any(words.model == known or words.model.startswith((f"{known}-20", f"{known}-latest")) for known in MODELS):
        message = f"The model {words.model!r} does not exist or you do not have access to it."
        raise Refusal(404, "ModelNotFound", message)
    if words.json_mode and "json" not in f"{words.system} {words.text}".lower():
        message = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
        raise Refusal(400, "InvalidParameter", message)
    sizes = _picture_sizes(words.images)
    return Asked(
        model=words.model,
        system=words.system,
        text=words.text,
        sizes=sizes,
        picture_tokens=sum(picture_tokens(width, height, words.model) for width, height in sizes),
        text_tokens=text_tokens(words.system + words.text),
    )


def wrong_shape(error: ValidationError) -> Refusal:
    """The refusal of a body that is not of the protocol, naming its first mistake."""
    first = error.errors(include_url=False, include_input=False)[0]
    message = f"<400> InternalError.Algo.InvalidParameter: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return Refusal(400, "InvalidParameter", message)


def _picture_sizes(images: Sequence[str]) -> tuple[tuple[int, int], ...]:
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
