"""The words a scene is written in: lanes, footways, signals, marks, buildings, light, and the script of incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cameras.street.truth import Incident
from trafficmon.core.objects import ObjectClass

Point = tuple[float, float]
Rect = tuple[float, float, float, float]
Colour = tuple[float, float, float]


class Aspect(StrEnum):
    """What a signal shows."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Lane:
    """A one-way path of vehicles; `signal` guards its end, `following` names the lanes that may come next.

    `gives_way` is (own metres, other lane, its metres): where it crosses the way of bicycles that go first.
    """

    name: str
    points: tuple[Point, ...]
    speed: float
    following: tuple[str, ...] = ()
    signal: str | None = None
    per_minute: float = 0.0
    mix: Mapping[ObjectClass, float] | None = None
    gives_way: tuple[float, str, float] | None = None


@dataclass(frozen=True, slots=True)
class Footway:
    """A path of people; the stretch after point `crossing` is a crossing, entered only when people have green."""

    points: tuple[Point, ...]
    per_minute: float
    crossing: int | None = None


@dataclass(frozen=True, slots=True)
class SignalPlan:
    """A fixed-time plan that repeats every `cycle` seconds; `green` holds (start, end) for each signal."""

    cycle: float
    green: Mapping[str, tuple[float, float]]
    amber: float = 2.5

    def aspect(self, signal: str, seconds: float) -> Aspect:
        """What `signal` shows; raises KeyError for one that the plan does not know."""
        start, end = self.green[signal]
        moment = (seconds - start) % self.cycle
        if moment < end - start:
            return Aspect.GREEN
        return Aspect.AMBER if moment < end - start + self.amber else Aspect.RED

    def green_left(self, signal: str, seconds: float) -> float:
        """Seconds until green ends; negative when it is not green."""
        start, end = self.green[signal]
        left = (end - start) - (seconds - start) % self.cycle
        return left if left > 0 else -1.0


@dataclass(frozen=True, slots=True)
class Line:
    """Paint on the road; `dash` is (painted, bare) metres, and None for a solid line."""

    start: Point
    end: Point
    width: float = 0.14
    dash: tuple[float, float] | None = None
    yellow: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A signal head that shows `signal`, hung at `place` and `height` and facing along `facing` (radians)."""

    signal: str
    place: Point
    height: float
    facing: float
    pole: Point


@dataclass(frozen=True, slots=True)
class Sign:
    """A stop sign on a pole."""

    place: Point
    facing: float


@dataclass(frozen=True, slots=True)
class Building:
    """A block with a flat roof; its `footprint` on the ground and its `height` are in metres."""

    footprint: Rect
    height: float


@dataclass(frozen=True, slots=True)
class View:
    """Where the camera hangs and looks; `focal` in picture widths."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    focal: float


@dataclass(frozen=True, slots=True)
class Light:
    """Colours are blue, green, red (0 to 255); `sun` points to the sun; `hour` is shown in the picture's corner."""

    sky_high: Colour
    sky_low: Colour
    sun: tuple[float, float, float]
    ambient: float
    direct: float
    tint: Colour
    hour: int
    night: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """An incident at `at` seconds of a cycle, lasting `lasting`; it happens on `route`, `metres` along it.

    What `metres` means: the place reached at `at` (red light: the stop line; wrong way: where it comes into sight;
    stopped vehicle and conflict: where the vehicle stands).
    """

    kind: Incident
    at: float
    lasting: float
    route: tuple[str, ...]
    metres: float
    speed: float
    footway: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything about a place that does not depend on the seed. `script` holds one tuple of slots per cycle."""

    name: str
    view: View
    light: Light
    lanes: tuple[Lane, ...]
    footways: tuple[Footway, ...]
    plan: SignalPlan
    script: tuple[tuple[Slot, ...], ...]
    roads: tuple[Rect, ...]
    pavements: tuple[Rect, ...]
    lines: tuple[Line, ...]
    zebras: tuple[Rect, ...]
    arrows: tuple[tuple[float, float, float], ...] = ()
    heads: tuple[Head, ...] = ()
    signs: tuple[Sign, ...] = ()
    buildings: tuple[Building, ...] = ()
    trees: tuple[Point, ...] = ()
    lamps: tuple[tuple[float, float, float], ...] = ()
    barriers: tuple[Line, ...] = ()
