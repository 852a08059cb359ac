"""Straight roads from south to north: an avenue with a signalled crossing, and a motorway."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cameras.street.layout import (
    Building,
    Footway,
    Head,
    Lane,
    Light,
    Line,
    Point,
    Scene,
    Sign,
    SignalPlan,
    Slot,
    View,
)
from trafficmon.core.objects import ObjectClass

_LANES = (1.65, 4.95, 8.25)
_AVENUE_HALF = 11.7
_CROSSING = (10.0, 14.0)
_SOUTH_END, _NORTH_END = -104.0, 150.0
_AVENUE_PLAN = SignalPlan(40.0, {"main": (0.0, 15.5), "walk": (21.0, 24.5)})
_CITY_MIX = {ObjectClass.CAR: 0.64, ObjectClass.TRUCK: 0.11, ObjectClass.BUS: 0.08, ObjectClass.MOTORCYCLE: 0.17}

_MOTORWAY_LANES = (3.2, 6.9, 10.6)
_MOTORWAY_HALF = 15.2
_MOTORWAY_ENDS = (-60.0, 260.0)
_FAST_MIX = {ObjectClass.CAR: 0.84, ObjectClass.MOTORCYCLE: 0.16}
_MIDDLE_MIX = {ObjectClass.CAR: 0.66, ObjectClass.TRUCK: 0.16, ObjectClass.BUS: 0.06, ObjectClass.MOTORCYCLE: 0.12}
_SLOW_MIX = {ObjectClass.CAR: 0.42, ObjectClass.TRUCK: 0.44, ObjectClass.BUS: 0.14}


def avenue(name: str, view: View, light: Light, script: tuple[tuple[Slot, ...], ...]) -> Scene:
    """Three lanes and a cycle lane each way, with a crossing in the middle and a service road with a stop sign."""
    ends = (_SOUTH_END - 60, _NORTH_END + 250)
    return Scene(
        name=name,
        view=view,
        light=light,
        lanes=tuple(_avenue_lanes()),
        footways=tuple(_avenue_footways()),
        plan=_AVENUE_PLAN,
        script=script,
        roads=(
            (-_AVENUE_HALF, ends[0], _AVENUE_HALF, ends[1]),
            (21.5, -40.0, 27.5, 26.0),
            (_AVENUE_HALF, 20.0, 27.5, 26.0),
        ),
        pavements=(
            (_AVENUE_HALF, ends[0], 17.0, 20.0),
            (_AVENUE_HALF, 26.0, 17.0, ends[1]),
            (-17.0, ends[0], -_AVENUE_HALF, ends[1]),
        ),
        lines=tuple(_avenue_lines(ends)),
        zebras=((-_AVENUE_HALF, _CROSSING[0], _AVENUE_HALF, _CROSSING[1]),),
        arrows=tuple((x, y, math.pi / 2) for x in _LANES for y in (-22.0, -4.0)),
        heads=(
            Head("main", (3.4, 15.4), 5.4, -math.pi / 2, (12.5, 15.4)),
            Head("main", (9.0, 15.4), 5.4, -math.pi / 2, (12.5, 15.4)),
            Head("main", (-5.0, 8.6), 5.4, math.pi / 2, (-12.5, 8.6)),
        ),
        signs=(Sign((19.6, 17.6), -math.pi / 2 - 0.1),),
        buildings=(
            Building((-48.0, 12.0, -24.0, 44.0), 17.0),
            Building((-46.0, 50.0, -24.0, 96.0), 24.0),
            Building((-44.0, 104.0, -24.0, 150.0), 15.0),
            Building((31.0, 30.0, 52.0, 70.0), 20.0),
            Building((24.0, 78.0, 52.0, 126.0), 15.0),
            Building((-50.0, -30.0, -26.0, 4.0), 11.0),
        ),
        trees=tuple((side * 19.2, y) for side in (-1, 1) for y in _tree_rows(side)),
        lamps=tuple((side * 12.4, y, 0.0 if side < 0 else math.pi) for y in (34.0, 62.0, 90.0) for side in (-1, 1)),
    )


def _tree_rows(side: int) -> Iterable[float]:
    return (y for y in (-8.0, 3.0, 14.0, 30.0, 41.0, 52.0, 63.0, 74.0, 85.0, 96.0) if side < 0 or y > 28.0)


def _avenue_lanes() -> Iterable[Lane]:
    low, high = _CROSSING[0] - 1.6, _CROSSING[1] + 1.6
    for number, x in enumerate(_LANES, start=1):
        rate = 7.0 if number < 3 else 5.0
        yield Lane(f"n{number}-in", ((x, _SOUTH_END), (x, low)), 13.0, (f"n{number}-out",), "main", rate, _CITY_MIX)
        yield Lane(f"n{number}-out", ((x, low), (x, _NORTH_END)), 13.5)
        yield Lane(f"s{number}-in", ((-x, _NORTH_END), (-x, high)), 13.0, (f"s{number}-out",), "main", rate, _CITY_MIX)
        yield Lane(f"s{number}-out", ((-x, high), (-x, _SOUTH_END)), 13.5)
    bicycles = {ObjectClass.BICYCLE: 1.0}
    yield Lane("nc-in", ((10.8, -60.0), (10.8, low)), 5.4, ("nc-out",), "main", 7.0, bicycles)
    yield Lane("nc-out", ((10.8, low), (10.8, _NORTH_END)), 5.4)
    yield Lane("sc-in", ((-10.8, 110.0), (-10.8, high)), 5.4, ("sc-out",), "main", 7.0, bicycles)
    yield Lane("sc-out", ((-10.8, high), (-10.8, -60.0)), 5.4)


def _avenue_footways() -> Iterable[Footway]:
    middle = sum(_CROSSING) / 2
    half = _AVENUE_HALF + 0.5
    for way in (
        ((15.5, -40.0), (14.6, middle - 1), (half, middle), (-half, middle), (-14.6, middle + 1), (-15.5, 70.0)),
        ((15.2, 80.0), (14.6, middle + 1), (half, middle), (-half, middle), (-14.6, middle - 1), (-15.2, -40.0)),
    ):
        yield Footway(way, 4.0, 2)
        yield Footway(way[::-1], 4.0, 2)
    for x in (-14.2, 14.2):
        yield Footway(((x, -40.0), (x, 110.0)), 3.0)
        yield Footway(((x * 1.08, 110.0), (x * 1.08, -40.0)), 3.0)


def _avenue_lines(ends: Point) -> Iterable[Line]:
    low, high = _CROSSING[0] - 1.2, _CROSSING[1] + 1.2
    for start, end in ((ends[0], low), (high, ends[1])):
        for x in (-0.1, 0.1):
            yield Line((x, start), (x, end), 0.1, yellow=True)
        for x in (-10.0, 10.0):
            yield Line((x, start), (x, end), 0.18)
        for x in (-6.6, -3.3, 3.3, 6.6):
            yield Line((x, start), (x, end), dash=(3.0, 4.5))
    yield Line((0.1, low), (_AVENUE_HALF, low), 0.4)
    yield Line((0.0, high), (-_AVENUE_HALF, high), 0.4)
    yield Line((21.5, 19.0), (27.5, 19.0), 0.4)


def highway(name: str, view: View, light: Light, script: tuple[tuple[Slot, ...], ...]) -> Scene:
    """A motorway with three lanes and a shoulder each way, seen from a bridge."""
    south, north = _MOTORWAY_ENDS
    far = north + 500
    return Scene(
        name=name,
        view=view,
        light=light,
        lanes=tuple(_motorway_lanes()),
        footways=(),
        plan=SignalPlan(40.0, {}),
        script=script,
        roads=((-_MOTORWAY_HALF, south, -1.2, far), (1.2, south, _MOTORWAY_HALF, far)),
        pavements=(),
        lines=tuple(_motorway_lines(south, far)),
        zebras=(),
        trees=tuple((side * (21.0 + 5.0 * (n % 3)), 2.0 + 9.0 * n) for side in (-1, 1) for n in range(16)),
        lamps=tuple((0.0, y, heading) for y in (22.0, 62.0, 102.0, 142.0) for heading in (0.0, math.pi)),
        barriers=(
            Line((0.0, south), (0.0, far)),
            Line((-_MOTORWAY_HALF - 0.6, south), (-_MOTORWAY_HALF - 0.6, far)),
            Line((_MOTORWAY_HALF + 0.6, south), (_MOTORWAY_HALF + 0.6, far)),
        ),
    )


def _motorway_lanes() -> Iterable[Lane]:
    south, north = _MOTORWAY_ENDS
    kinds = ((27.0, 24.0, _FAST_MIX), (24.0, 26.0, _MIDDLE_MIX), (20.0, 20.0, _SLOW_MIX))
    for number, (x, (speed, rate, mix)) in enumerate(zip(_MOTORWAY_LANES, kinds, strict=True), start=1):
        yield Lane(f"n{number}", ((x, south), (x, north)), speed, per_minute=rate, mix=mix)
        yield Lane(f"s{number}", ((-x, north), (-x, south)), speed, per_minute=rate, mix=mix)


def _motorway_lines(south: float, far: float) -> Iterable[Line]:
    for side in (-1, 1):
        yield Line((side * 1.5, south), (side * 1.5, far), 0.16, yellow=True)
        yield Line((side * 12.5, south), (side * 12.5, far), 0.2)
        for x in (5.05, 8.75):
            yield Line((side * x, south), (side * x, far), dash=(4.0, 7.0))
