"""The scene as the simulator finds it in the words of a prompt, and the geometry it judges by. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from trafficmon.core.geometry import Box

_SCENE = re.compile(r"<scene>(.*?)</scene>", re.DOTALL)

TWO_WHEELED = frozenset({"bicycle", "motorcycle"})
FOUR_WHEELED = frozenset({"car", "bus", "truck"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One object of the prompt."""

    id: int
    kind: str
    box: Box
    track: int | None


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be judged: the asked group's objects, or all of them for the whole frame."""

    width: int
    height: int
    asked: int
    objects: tuple[Seen, ...]


def find_scene(text: str) -> Scene | None:
    """The scene between the markers, or None where there is none that can be read."""
    found = _SCENE.findall(text)
    if not found:
        return None
    try:
        return _scene(json.loads(found[-1]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _scene(told: dict[str, Any]) -> Scene:
    asked = int(told["judge"])
    members = {each for group in told["groups"] if group["groupIndex"] == asked for each in group["objectIds"]}
    objects = (
        Seen(int(each["id"]), str(each["class"]), Box(*map(float, each["box"])), each.get("track"))
        for each in told["objects"]
        if not members or each["id"] in members
    )
    picture = told["picture"]
    return Scene(int(picture["width"]), int(picture["height"]), asked, tuple(objects))


def walkers(scene: Scene) -> tuple[Seen, ...]:
    """People who ride nothing."""
    rides = [each.box for each in scene.objects if each.kind in TWO_WHEELED]
    people = (each for each in scene.objects if each.kind == "person")
    return tuple(each for each in people if not any(_rides(each.box, ride) for ride in rides))


def _rides(person: Box, ride: Box) -> bool:
    x, y = person.foot
    return ride.x1 <= x <= ride.x2 and ride.y1 <= y <= ride.y2 + 0.3 * ride.height


def closeness(walker: Box, vehicle: Box) -> float:
    """How near a walker's feet are to a vehicle's, from 0 (far) to 1 (touching), measured in vehicles."""
    aside = max(vehicle.x1 - walker.foot[0], walker.foot[0] - vehicle.x2, 0.0) / max(vehicle.width, 1.0)
    ahead = abs(walker.foot[1] - vehicle.foot[1]) / max(vehicle.height, 1.0)
    return max(0.0, 1.0 - 1.5 * aside - ahead)


def in_line_gap(one: Box, other: Box) -> float | None:
    """The gap between two vehicles in one lane, in heights of the nearer one; None where they share no lane."""
    near, far = (one, other) if one.y2 >= other.y2 else (other, one)
    shared = min(near.x2, far.x2) - max(near.x1, far.x1)
    if shared < 0.6 * min(near.width, far.width):
        return None
    return max(0.0, near.y2 - far.y2) / max(near.height, 1.0)
