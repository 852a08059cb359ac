"""What a client may send over the WebSocket, read and checked."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import parse_qs

from django.utils.translation import gettext as _
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from trafficmon.core.clock import EARLIEST, LATEST
from trafficmon.live.messages import Part

LARGEST_INCOMING = 16_384
"""Characters; no request of the contract comes near it."""

Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]
"""That may be asked for."""
_SPELLED = {"pictures": "pictures", "picture_width": "width", "since": "since"}
"""How the address spells what it may say of a subscription."""


class UnreadableMessageError(ValueError):
    """What a client sent is no message of ours; the text says what to send instead."""


class Request(Part):
    """The `data` of a message from a client."""


class PingRequest(Request):
    echo: float | Annotated[str, Field(max_length=100)] | None = None


class CameraRequest(Request):
    camera_id: int = Field(ge=1)


class SourceRequest(CameraRequest):
    rtsp_url: str | None = Field(default=None, max_length=2000)


class SubscribeRequest(Request):
    camera_ids: tuple[int, ...] | None = Field(default=None, max_length=1000)
    """None: every camera this client may see."""
    pictures: Literal["inline", "url", "binary", "none"] = "inline"
    frames_of: tuple[int, ...] | None = Field(default=None, max_length=1000)
    """Of which of them `detection_result` is wanted; None: of all."""
    picture_width: int | None = Field(default=None, ge=1, le=10_000)
    """As wide as they are shown, in pixels; None: as they were captured."""
    large_of: tuple[int, ...] = Field(default=(), max_length=1000)
    """The cameras whose pictures are wanted as they were captured all the same."""
    since: Moment | None = None
    """When the client was last told anything: what ended since is told again."""


class Ping(Part):
    type: Literal["ping"]
    data: PingRequest = PingRequest()


class PongAnswer(Part):
    type: Literal["pong"]


class StartStream(Part):
    type: Literal["start_stream"]
    data: SourceRequest


class StopStream(Part):
    type: Literal["stop_stream"]
    data: CameraRequest


class CheckCamera(Part):
    type: Literal["check_camera"]
    data: SourceRequest


class Subscribe(Part):
    type: Literal["subscribe"]
    data: SubscribeRequest = SubscribeRequest()


class DrawnReport(Request):
    """When a page got a message and when it had drawn it, by how long ago: its clock may be wrong."""

    traceparent: str = Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
    received_ago_ms: float = Field(ge=0, le=60_000)
    drawn_ago_ms: float = Field(ge=0, le=60_000)


class Drawn(Part):
    """Sent by our own pages for what is traced, and of no other use."""

    type: Literal["drawn"]
    data: DrawnReport


Incoming = Annotated[
    Ping | PongAnswer | StartStream | StopStream | CheckCamera | Subscribe | Drawn, Field(discriminator="type")
]
_INCOMING: TypeAdapter[Incoming] = TypeAdapter(Incoming)
_KNOWN = "ping, pong, start_stream, stop_stream, check_camera, subscribe"


def asked(query_string: bytes, name: str) -> str:
    """What the address says of `name`; "" where it says nothing."""
    return parse_qs(query_string.decode("latin1")).get(name, [""])[-1]


def read_incoming(text: str) -> Incoming:
    """The message that a client sent; raises UnreadableMessageError with a reason it can act on."""
    if len(text) > LARGEST_INCOMING:
        raise UnreadableMessageError(_("The message is too long; send at most %d characters.") % LARGEST_INCOMING)
    try:
        return _INCOMING.validate_json(text)
    except ValidationError as error:
        raise UnreadableMessageError(_explain(error)) from None


def read_first_wish(query_string: bytes) -> tuple[SubscribeRequest, str]:
    """What to send before the client says so itself: `/ws?pictures=binary&width=480` spares it one round of others.

    Also what is wrong there, which is left out; "" where nothing is.
    """
    said = {name: asked(query_string, spelled) for name, spelled in _SPELLED.items()}
    chosen = {name: value for name, value in said.items() if value}
    try:
        return SubscribeRequest.model_validate(chosen), ""
    except ValidationError as error:
        wrong = {each["loc"][0]: each["msg"] for each in error.errors()}
        readable = {name: value for name, value in chosen.items() if name not in wrong}
        told = ", ".join(f"{_SPELLED[str(name)]}: {why}" for name, why in wrong.items())
        return SubscribeRequest.model_validate(readable), told


def _explain(error: ValidationError) -> str:
    """What is wrong in the first place that is; the value itself is not repeated, as it may hold a password."""
    first = error.errors(include_input=False, include_url=False)[0]
    if first["type"] == "json_invalid":
        return _('That is not JSON; send {"type": ..., "data": {...}}.')
    if first["type"].startswith("union_tag") or not first["loc"]:
        return _("Unknown type of message; send one of: %s.") % _KNOWN
    path = ".".join(str(part) for part in first["loc"][1:]) or "message"
    return f"{path}: {first['msg']}"
