"""A signalled crossing of a wide street (south to north) and a narrow one (west to east)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cameras.street.layout import (
    Building,
    Footway,
    Head,
    Lane,
    Light,
    Line,
    Point,
    Rect,
    Scene,
    SignalPlan,
    Slot,
    View,
)
from cameras.street.paths import Path
from trafficmon.core.objects import ObjectClass

_REACH = 120.0
_LANE = 3.3
_CYCLE_LANE = 1.6
_WIDE = 2 * _LANE + _CYCLE_LANE
_NARROW = _LANE + _CYCLE_LANE
_STOP = 5.8
_ZEBRA = (1.4, 4.8)
_PAVEMENT = 4.4
_MIX = {
    ObjectClass.CAR: 0.64,
    ObjectClass.TRUCK: 0.11,
    ObjectClass.BUS: 0.08,
    ObjectClass.MOTORCYCLE: 0.17,
}
_PLAN = SignalPlan(40.0, {"main": (0.0, 10.0), "side": (14.5, 20.5), "walk": (27.0, 30.5)})


@dataclass(frozen=True, slots=True)
class _Direction:
    """`ahead` and `right` are unit vectors; half widths of the own and of the crossing road in metres."""

    letter: str
    ahead: Point
    half: float
    crossing_half: float
    lanes: tuple[float, ...]
    cycles: float
    signal: str

    @property
    def right(self) -> Point:
        return self.ahead[1], -self.ahead[0]

    @property
    def stop(self) -> float:
        """Metres from the junction's middle to the stop line."""
        return self.crossing_half + _STOP

    def spot(self, along: float, right: float) -> Point:
        """The place so many metres ahead of the junction's middle and to the right of it."""
        (ax, ay), (rx, ry) = self.ahead, self.right
        return along * ax + right * rx, along * ay + right * ry


_TWO, _ONE = (1.65, 4.95), (1.65,)
_NORTH = _Direction("n", (0, 1), _WIDE, _NARROW, _TWO, 7.4, "main")
_SOUTH = _Direction("s", (0, -1), _WIDE, _NARROW, _TWO, 7.4, "main")
_EAST = _Direction("e", (1, 0), _NARROW, _WIDE, _ONE, 4.1, "side")
_WEST = _Direction("w", (-1, 0), _NARROW, _WIDE, _ONE, 4.1, "side")
_TURNS = ((_NORTH, _EAST), (_EAST, _SOUTH), (_SOUTH, _WEST), (_WEST, _NORTH))


def crossroads(
    name: str, view: View, light: Light, buildings: tuple[Building, ...], script: tuple[tuple[Slot, ...], ...]
) -> Scene:
    """One junction; places that differ share this plan and are seen by another camera, in another light."""
    lanes = [lane for own, to_the_right in _TURNS for lane in _lanes(own, to_the_right)]
    return Scene(
        name=name,
        view=view,
        light=light,
        lanes=tuple(lanes),
        footways=tuple(_footways()),
        plan=_PLAN,
        script=script,
        roads=((-_WIDE, -_REACH, _WIDE, _REACH), (-_REACH, -_NARROW, _REACH, _NARROW)),
        pavements=tuple(_pavements()),
        lines=tuple(line for own, _ in _TURNS for line in _lines(own)),
        zebras=tuple(_zebras()),
        arrows=tuple(_arrows()),
        heads=tuple(_head(own) for own, _ in _TURNS),
        buildings=tuple(one for one in buildings if _is_clear_of(one, view)),
        trees=tuple(_trees(view)),
        lamps=tuple(_lamps(view)),
    )


def _is_clear_of(building: Building, view: View) -> bool:
    x1, y1, x2, y2 = building.footprint
    x, y, _ = view.position
    return math.dist((min(max(x, x1), x2), min(max(y, y1), y2)), (x, y)) > 20


def _lanes(own: _Direction, to_the_right: _Direction) -> Iterable[Lane]:
    letter, stop = own.letter, own.stop
    for number, right in enumerate(own.lanes, start=1):
        start, line = own.spot(-_REACH, right), own.spot(-stop, right)
        beyond, end = own.spot(stop, right), own.spot(_REACH, right)
        outermost = number == len(own.lanes)
        following = (f"{letter}{number}-through", *((f"{letter}-right",) if outermost else ()))
        per_minute = 5.5
        yield Lane(f"{letter}{number}-in", (start, line), 12.0, following, own.signal, per_minute, _MIX)
        yield Lane(f"{letter}{number}-through", (line, beyond), 12.0, (f"{letter}{number}-out",))
        yield Lane(f"{letter}{number}-out", (beyond, end), 12.5)
    yield _turn(own, to_the_right)
    cycles = (own.spot(-_REACH, own.cycles), own.spot(-stop, own.cycles), own.spot(_REACH, own.cycles))
    bicycles = {ObjectClass.BICYCLE: 1.0}
    yield Lane(f"{letter}c-in", cycles[:2], 5.2, (f"{letter}c-out",), own.signal, 4.5, bicycles)
    yield Lane(f"{letter}c-out", cycles[1:], 5.2)


def _turn(own: _Direction, other: _Direction) -> Lane:
    """A right turn from the outermost lane into the outermost of the street to the right, as a quadratic curve."""
    start = own.spot(-own.stop, own.lanes[-1])
    end = other.spot(other.stop, other.lanes[-1])
    bend = own.spot(-other.lanes[-1], own.lanes[-1])
    points = []
    for number in range(9):
        t = number / 8
        weights = ((1 - t) ** 2, 2 * t * (1 - t), t * t)
        x = sum(w * p[0] for w, p in zip(weights, (start, bend, end), strict=True))
        y = sum(w * p[1] for w, p in zip(weights, (start, bend, end), strict=True))
        points.append((x, y))
    meeting = Path(points).nearest(own.spot(-own.stop + 6.0, own.cycles - 1.6))
    return Lane(
        f"{own.letter}-right",
        tuple(points),
        5.0,
        (f"{other.letter}{len(other.lanes)}-out",),
        gives_way=(meeting, f"{own.letter}c-out", 8.5),
    )


def _footways() -> Iterable[Footway]:
    """Over the four zebras both ways, then along the pavements without crossing. Number 0 plays in conflicts."""
    south, east = _NARROW + 3.1, _WIDE + 3.1
    for y in (-south, south):
        way = ((55.0, y * 0.9), (_WIDE + 0.5, y), (-_WIDE - 0.5, y), (-55.0, y * 0.9))
        yield Footway(way, 3.2, 1)
        yield Footway(way[::-1], 3.2, 1)
    for x in (-east, east):
        way = ((x * 0.93, -60.0), (x, -_NARROW - 0.5), (x, _NARROW + 0.5), (x * 0.93, 75.0))
        yield Footway(way, 2.6, 1)
        yield Footway(way[::-1], 2.6, 1)
    for x in (-_WIDE - 3.2, _WIDE + 3.2):
        yield Footway(((x, 80.0), (x, _NARROW + 3.4), (x * 4.5, _NARROW + 3.4)), 2.0)
        yield Footway(((x * 4.5, -_NARROW - 3.2), (x, -_NARROW - 3.2), (x, -60.0)), 2.0)


def _zebras() -> Iterable[Rect]:
    near, far = _ZEBRA
    for side in (-1, 1):
        low, high = sorted((side * (_NARROW + near), side * (_NARROW + far)))
        yield (-_WIDE, low, _WIDE, high)
        low, high = sorted((side * (_WIDE + near), side * (_WIDE + far)))
        yield (low, -_NARROW, high, _NARROW)


def _pavements() -> Iterable[Rect]:
    for x in (-1, 1):
        for y in (-1, 1):
            xs, xe = sorted((x * _WIDE, x * (_WIDE + _PAVEMENT)))
            ys, ye = sorted((y * _NARROW, y * (_NARROW + _PAVEMENT)))
            far_y, far_x = y * _REACH, x * _REACH
            yield (xs, min(y * _NARROW, far_y), xe, max(y * _NARROW, far_y))
            yield (min(x * _WIDE, far_x), ys, max(x * _WIDE, far_x), ye)


def _lines(own: _Direction) -> Iterable[Line]:
    line = own.stop - 0.25
    for side in (0.09,):
        for start, end in ((-_REACH, -line), (line, _REACH)):
            yield Line(own.spot(start, side), own.spot(end, side), 0.12, yellow=True)
    for right in own.lanes[1:]:
        middle = right - _LANE / 2
        yield Line(own.spot(-_REACH, middle), own.spot(-line - 22, middle), dash=(2.5, 3.5))
        yield Line(own.spot(-line - 22, middle), own.spot(-line, middle))
        yield Line(own.spot(line, middle), own.spot(_REACH, middle), dash=(2.5, 3.5))
    edge = own.half - _CYCLE_LANE
    for start, end in ((-_REACH, -line), (line, _REACH)):
        yield Line(own.spot(start, edge), own.spot(end, edge), 0.18)
    yield Line(own.spot(-line, 0.1), own.spot(-line, own.half), 0.4)


def _arrows() -> Iterable[tuple[float, float, float]]:
    for own, _ in _TURNS:
        for right in own.lanes:
            for back in (9.0, 26.0):
                x, y = own.spot(-own.stop - back, right)
                yield x, y, math.atan2(own.ahead[1], own.ahead[0])


def _head(own: _Direction) -> Head:
    """Beyond the junction, over the lanes it is for, facing them."""
    place = own.spot(own.crossing_half + 0.9, sum(own.lanes) / len(own.lanes) + 0.6)
    pole = own.spot(own.crossing_half + 0.9, own.half + 0.7)
    return Head(own.signal, place, 5.3, math.atan2(-own.ahead[1], -own.ahead[0]), pole)


def _trees(view: View) -> Iterable[Point]:
    """Along both streets, but not on the camera's own corner nor close before it."""
    x = _WIDE + _PAVEMENT + 1.6
    y = _NARROW + _PAVEMENT + 1.6
    away = 1 if view.position[0] < 0 else -1
    rows = (
        _row((-x, y + 4), (0, 11), 7),
        _row((x, y + 4), (0, 11), 7),
        _row((-x - 9, y), (-12, 0), 6),
        _row((x + 9, y), (12, 0), 6),
        _row((away * x, -y - 12), (0, -11), 5),
        _row((away * (x + 12), -y - 1), (away * 12, 0), 4),
    )
    return [spot for row in rows for spot in row if math.dist(spot, view.position[:2]) > 22]


def _row(start: Point, step: Point, count: int) -> list[Point]:
    return [(start[0] + step[0] * n, start[1] + step[1] * n) for n in range(count)]


def _lamps(view: View) -> Iterable[tuple[float, float, float]]:
    x, y = _WIDE + 0.8, _NARROW + 0.8
    spots = [(-x, 14.0, 0.0), (x, 30.0, math.pi), (-x, 48.0, 0.0), (x, 66.0, math.pi), (-x, 84.0, 0.0)]
    spots += [(-x, -16.0, 0.0), (x, -20.0, math.pi), (-x, -44.0, 0.0)]
    spots += [(-x, y + 0.6, 0.0), (x, -y - 0.6, math.pi)] if view.position[0] < 0 else []
    spots += [(30.0, y, -math.pi / 2), (-30.0, y, -math.pi / 2), (54.0, y, -math.pi / 2), (-54.0, y, -math.pi / 2)]
    return [spot for spot in spots if math.dist(spot[:2], view.position[:2]) > 26]
