"""What a browser subscribes to, and the events that travel there. Events are small: references, never pictures."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class FrameReady(TypedDict):
    """A newer frame of this camera can be read from the snapshot."""

    type: Literal["frame.ready"]
    camera_id: int
    frame_key: str


class MessageReady(TypedDict):
    """A finished message that must not be lost; with `replaces`, only the newest of its kind matters.

    What still waits under `outdates` is older than this and left out.
    """

    type: Literal["message.ready"]
    camera_id: int
    text: str
    texts: NotRequired[dict[str, str]]
    """By language, where there are words in it; `text` is in that of the installation."""
    replaces: NotRequired[str]
    outdates: NotRequired[str]
    about: NotRequired[Literal["alert", "status", "verdict"]]


class LoadReady(TypedDict):
    """A finished message to everybody about the load of the whole fleet and of assessment; only the newest matters."""

    type: Literal["load.ready"]
    text: str


Event = FrameReady | MessageReady | LoadReady

EVERYBODY = "everybody"
"""The name of the Channels group of all clients, whatever they watch."""


def status_key(camera_id: int) -> str:
    """Under which the state of a camera waits for a client."""
    return f"status:{camera_id}"


def alert_key(alert_id: int) -> str:
    """Under which an alert that is told again waits for a client."""
    return f"alert:{alert_id}"


def camera_topic(camera_id: int) -> str:
    """The name of the Channels group to which everything about this camera is sent."""
    return f"camera.{camera_id}"
