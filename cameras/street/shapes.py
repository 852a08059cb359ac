"""The shapes of road users, signal heads and signs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from cameras.street.meshes import LAMPS, Corner, Draft, Material, Shape
from trafficmon.core.objects import ObjectClass


@cache
def shape_of(object_class: ObjectClass, variant: int) -> Shape:
    """The shape of a road user; `variant` picks one of several bodies."""
    draft = Draft()
    makers = {
        ObjectClass.CAR: (_saloon, _hatchback, _van, _suv),
        ObjectClass.BUS: (_bus,),
        ObjectClass.TRUCK: (_box_truck, _tipper),
        ObjectClass.MOTORCYCLE: (_motorcycle,),
        ObjectClass.BICYCLE: (_bicycle,),
        ObjectClass.PERSON: (_person, _person_in_skirt),
        ObjectClass.TRAFFIC_LIGHT: (_signal_head,),
        ObjectClass.STOP_SIGN: (_stop_sign,),
    }[object_class]
    makers[variant % len(makers)](draft)
    return draft.done()


def _car(draft: Draft, lower: Sequence[Corner], roof: Sequence[Corner], wheels: tuple[float, float]) -> None:
    """`roof` runs from the foot of the windscreen over the top to the foot of the rear window: four corners."""
    paint = Material.PAINT
    draft.hull(lower, [Material.TRIM, paint, paint, paint, paint, paint, paint][: len(lower)], paint)
    for x in wheels:
        draft.wheel(x, 0.33, 0.91)
    nose, tail = max(x for x, _, _ in lower), min(x for x, _, _ in lower)
    draft.lamps(nose + 0.02, 0.66, 0.62, (0.42, 0.16), front=True)
    draft.lamps(tail - 0.02, 0.78, 0.66, (0.34, 0.2), front=False)
    draft.face(
        [(nose + 0.02, y, z) for y, z in ((-0.35, 0.42), (0.35, 0.42), (0.35, 0.58), (-0.35, 0.58))], Material.TRIM
    )
    draft.face([(tail - 0.02, y, z) for y, z in ((0.26, 0.5), (-0.26, 0.5), (-0.26, 0.62), (0.26, 0.62))], Material.RIM)
    draft.hull(roof, [Material.GLASS, paint, Material.GLASS], paint)
    for start, stop in ((0.06, 0.5), (0.54, 0.92)):
        draft.both_sides(_side_window(roof, start, stop), Material.GLASS)


def _side_window(roof: Sequence[Corner], start: float, stop: float) -> list[Corner]:
    """A patch of a car's side between two shares of its length, a little inside the roof's outline."""
    foot, front, back, heel = roof

    def spot(share: float, up: float) -> Corner:
        low = [f + share * (h - f) for f, h in zip(foot, heel, strict=True)]
        high = [f + share * (b - f) for f, b in zip(front, back, strict=True)]
        x, z, w = (a + up * (b - a) for a, b in zip(low, high, strict=True))
        return x, z, w

    return [spot(start, 0.1), spot(start, 0.86), spot(stop, 0.86), spot(stop, 0.1)]


def _saloon(draft: Draft) -> None:
    lower = [
        (-2.15, 0.28, 0.86),
        (2.15, 0.28, 0.84),
        (2.2, 0.62, 0.86),
        (1.05, 0.9, 0.88),
        (-1.6, 0.96, 0.88),
        (-2.2, 0.88, 0.86),
    ]
    _car(draft, lower, [(1.1, 0.9, 0.84), (0.3, 1.42, 0.66), (-0.95, 1.43, 0.66), (-1.75, 0.96, 0.82)], (1.35, -1.32))


def _hatchback(draft: Draft) -> None:
    lower = [
        (-1.9, 0.28, 0.86),
        (1.95, 0.28, 0.84),
        (2.0, 0.66, 0.86),
        (1.15, 0.94, 0.88),
        (-1.8, 1.0, 0.88),
        (-1.95, 0.85, 0.86),
    ]
    _car(draft, lower, [(1.2, 0.94, 0.84), (0.4, 1.5, 0.68), (-1.5, 1.5, 0.68), (-1.85, 1.0, 0.82)], (1.25, -1.25))


def _van(draft: Draft) -> None:
    lower = [
        (-2.3, 0.3, 0.9),
        (2.2, 0.3, 0.88),
        (2.3, 0.72, 0.9),
        (1.75, 1.06, 0.92),
        (-2.3, 1.1, 0.92),
        (-2.34, 0.8, 0.9),
    ]
    _car(draft, lower, [(1.78, 1.06, 0.9), (0.95, 1.92, 0.78), (-2.2, 1.95, 0.78), (-2.3, 1.1, 0.9)], (1.45, -1.45))


def _suv(draft: Draft) -> None:
    lower = [
        (-2.2, 0.36, 0.9),
        (2.2, 0.36, 0.88),
        (2.25, 0.8, 0.9),
        (1.2, 1.06, 0.92),
        (-2.15, 1.1, 0.92),
        (-2.25, 0.95, 0.9),
    ]
    _car(draft, lower, [(1.25, 1.06, 0.88), (0.55, 1.68, 0.72), (-1.7, 1.7, 0.72), (-2.15, 1.1, 0.86)], (1.4, -1.4))


def _block(draft: Draft, x: tuple[float, float], z: tuple[float, float], half_width: float, material: Material) -> None:
    (back, front), (low, high) = x, z
    profile = [(back, low, half_width), (front, low, half_width), (front, high, half_width), (back, high, half_width)]
    draft.hull(profile, [Material.TRIM, material, material, material], material)


def _bus(draft: Draft) -> None:
    _block(draft, (-5.7, 5.7), (0.35, 3.05), 1.25, Material.PAINT)
    draft.both_sides([(-5.7, 0.85, 1.25), (-5.7, 1.15, 1.25), (5.7, 1.15, 1.25), (5.7, 0.85, 1.25)], Material.STRIPE)
    for number in range(6):
        x = -5.3 + number * 1.72
        draft.both_sides(
            [(x, 1.45, 1.255), (x, 2.45, 1.255), (x + 1.55, 2.45, 1.255), (x + 1.55, 1.45, 1.255)], Material.GLASS
        )
    draft.both_sides([(5.1, 0.5, 1.255), (5.1, 2.45, 1.255), (5.62, 2.45, 1.255), (5.62, 0.5, 1.255)], Material.GLASS)
    draft.face([(5.72, y, z) for y, z in ((-1.12, 1.25), (1.12, 1.25), (1.12, 2.55), (-1.12, 2.55))], Material.GLASS)
    draft.face([(5.72, y, z) for y, z in ((-0.8, 2.65), (0.8, 2.65), (0.8, 2.95), (-0.8, 2.95))], Material.INDICATOR)
    draft.face([(-5.72, y, z) for y, z in ((1.0, 1.7), (-1.0, 1.7), (-1.0, 2.5), (1.0, 2.5))], Material.GLASS)
    draft.face([(x, y, 3.06) for x, y in ((-2.5, -0.7), (-0.5, -0.7), (-0.5, 0.7), (-2.5, 0.7))], Material.RIM)
    for x in (3.6, -3.3):
        draft.wheel(x, 0.5, 1.26)
    draft.lamps(5.73, 0.75, 0.95, (0.4, 0.2), front=True)
    draft.lamps(-5.73, 0.95, 1.0, (0.25, 0.4), front=False)


def _cab(draft: Draft) -> None:
    profile = [(2.5, 0.45, 1.18), (4.15, 0.45, 1.18), (4.2, 1.5, 1.18), (3.95, 2.55, 1.1), (2.5, 2.6, 1.1)]
    draft.hull(profile, [Material.TRIM, Material.PAINT, Material.GLASS, Material.PAINT, Material.PAINT], Material.PAINT)
    draft.both_sides([(3.1, 1.5, 1.17), (3.1, 2.3, 1.14), (3.85, 2.3, 1.14), (4.0, 1.5, 1.17)], Material.GLASS)
    draft.face([(4.2, y, z) for y, z in ((-0.8, 0.9), (0.8, 0.9), (0.8, 1.3), (-0.8, 1.3))], Material.TRIM)
    draft.wheel(3.3, 0.48, 1.19)
    draft.lamps(4.21, 0.72, 0.92, (0.36, 0.2), front=True)


def _box_truck(draft: Draft) -> None:
    _cab(draft)
    draft.block = 1
    _block(draft, (-4.2, 2.35), (0.95, 3.4), 1.24, Material.SECOND_PAINT)
    draft.both_sides([(-3.4, 1.7, 1.25), (-3.4, 2.6, 1.25), (1.4, 2.6, 1.25), (1.4, 1.7, 1.25)], Material.STRIPE)
    draft.both_sides([(-4.1, 0.55, 1.1), (-4.1, 0.95, 1.1), (2.4, 0.95, 1.1), (2.4, 0.55, 1.1)], Material.TRIM)
    draft.wheel(-2.7, 0.48, 1.2)
    draft.lamps(-4.22, 1.05, 1.0, (0.3, 0.18), front=False)


def _tipper(draft: Draft) -> None:
    _cab(draft)
    draft.block = 1
    profile = [(-3.9, 0.95, 1.2), (2.3, 0.95, 1.2), (2.35, 2.35, 1.25), (-4.2, 2.1, 1.25)]
    draft.hull(
        profile, [Material.TRIM, Material.SECOND_PAINT, Material.TRIM, Material.SECOND_PAINT], Material.SECOND_PAINT
    )
    for x in (-2.9, -1.4, 0.1, 1.5):
        draft.both_sides(
            [(x, 1.0, 1.23), (x, 2.1, 1.26), (x + 0.14, 2.1, 1.26), (x + 0.14, 1.0, 1.23)], Material.STRIPE
        )
    draft.wheel(-2.0, 0.48, 1.2)
    draft.wheel(-3.1, 0.48, 1.2)
    draft.lamps(-4.22, 1.1, 1.0, (0.3, 0.18), front=False)


def _rider(draft: Draft, seat: float, hands: tuple[float, float], helmet: Material, swing: float) -> None:
    hip = (-0.25, 0.0, seat)
    for side in (-1.0, 1.0):
        knee = (0.22, side * 0.16, seat - 0.22)
        draft.rod((-0.2, side * 0.12, seat), knee, 0.085, Material.TROUSERS, swing * side)
        draft.rod(knee, (0.02, side * 0.16, 0.32), 0.065, Material.TROUSERS, swing * side)
    draft.rod(hip, (0.08, 0.0, seat + 0.5), 0.19, Material.TOP)
    for side in (-1.0, 1.0):
        draft.rod((0.08, side * 0.2, seat + 0.45), (hands[0], side * 0.25, hands[1]), 0.06, Material.TOP)
    draft.rod((0.14, 0.0, seat + 0.74), (0.16, 0.0, seat + 0.76), 0.13, helmet)


def _ring(draft: Draft, x: float, radius: float, thickness: float) -> None:
    spots = [
        (x + radius * math.cos(math.tau * n / 10), 0.0, radius * (1 + math.sin(math.tau * n / 10))) for n in range(11)
    ]
    for a, b in pairwise(spots):
        draft.rod(a, b, thickness, Material.TYRE)


def _motorcycle(draft: Draft) -> None:
    for x in (0.68, -0.68):
        draft.rod((x, 0.0, 0.32), (x, 0.0, 0.34), 0.3, Material.TYRE)
        draft.rod((x, 0.0, 0.32), (x, 0.0, 0.34), 0.13, Material.RIM)
    draft.rod((-0.75, 0.0, 0.72), (0.1, 0.0, 0.6), 0.16, Material.TRIM)
    draft.rod((0.05, 0.0, 0.62), (0.45, 0.0, 0.8), 0.2, Material.PAINT)
    draft.rod((0.68, 0.0, 0.35), (0.5, 0.0, 0.95), 0.05, Material.RIM)
    draft.rod((0.48, -0.34, 1.02), (0.48, 0.34, 1.02), 0.035, Material.TRIM)
    draft.rod((0.62, 0.0, 0.86), (0.64, 0.0, 0.86), 0.1, Material.HEADLIGHT)
    draft.rod((-0.86, 0.0, 0.72), (-0.87, 0.0, 0.72), 0.07, Material.TAIL_LIGHT)
    _rider(draft, 0.82, (0.46, 1.02), Material.SECOND_PAINT, 0.0)


def _bicycle(draft: Draft) -> None:
    for x in (0.52, -0.52):
        _ring(draft, x, 0.34, 0.028)
    frame = [
        ((-0.52, 0.34), (-0.15, 0.85)),
        ((-0.15, 0.85), (0.36, 0.84)),
        ((-0.05, 0.32), (0.36, 0.84)),
        ((-0.52, 0.34), (-0.05, 0.32)),
        ((0.52, 0.34), (0.36, 0.95)),
    ]
    for (ax, az), (bx, bz) in frame:
        draft.rod((ax, 0.0, az), (bx, 0.0, bz), 0.03, Material.PAINT)
    draft.rod((0.36, -0.27, 1.02), (0.36, 0.27, 1.02), 0.025, Material.TRIM)
    _rider(draft, 0.95, (0.36, 1.02), Material.SECOND_PAINT, 0.08)


def _legs(draft: Draft, material: Material, radius: float) -> None:
    for side in (-1.0, 1.0):
        draft.rod((0.0, side * 0.09, 0.86), (0.0, side * 0.1, 0.12), radius, material, side * 0.3)
        draft.rod((0.0, side * 0.1, 0.06), (0.1, side * 0.1, 0.06), 0.055, Material.TYRE, side * 0.3)


def _upper_body(draft: Draft) -> None:
    for side in (-1.0, 1.0):
        draft.rod((0.0, side * 0.22, 1.36), (0.04, side * 0.27, 0.86), 0.06, Material.TOP, -side * 0.2)
    draft.rod((0.0, 0.0, 0.95), (0.02, 0.0, 1.32), 0.18, Material.TOP)
    draft.rod((0.0, -0.1, 1.38), (0.0, 0.1, 1.38), 0.12, Material.TOP)
    draft.rod((0.0, 0.0, 1.5), (0.0, 0.0, 1.54), 0.06, Material.SKIN)
    draft.rod((0.03, 0.0, 1.62), (0.03, 0.0, 1.65), 0.11, Material.SKIN)
    draft.rod((-0.02, 0.0, 1.67), (-0.03, 0.0, 1.68), 0.115, Material.HAIR)


def _person(draft: Draft) -> None:
    _legs(draft, Material.TROUSERS, 0.085)
    _upper_body(draft)


def _person_in_skirt(draft: Draft) -> None:
    _legs(draft, Material.SKIN, 0.06)
    draft.rod((0.0, 0.0, 0.92), (0.0, 0.0, 0.62), 0.17, Material.TROUSERS)
    draft.rod((0.0, -0.12, 0.6), (0.0, 0.12, 0.6), 0.11, Material.TROUSERS)
    _upper_body(draft)


def _signal_head(draft: Draft) -> None:
    """Its middle is at the origin and it faces along x."""
    _block(draft, (-0.16, 0.16), (-0.66, 0.66), 0.27, Material.TRIM)
    for material, z in zip(LAMPS, (0.42, 0.0, -0.42), strict=True):
        turns = [math.tau * n / 10 for n in range(10)]
        draft.face([(0.18, 0.18 * math.cos(t), z + 0.18 * math.sin(t)) for t in turns], material)


def _stop_sign(draft: Draft) -> None:
    """A plate whose middle is at the origin; it faces along x."""
    corners = [(math.cos(math.tau * (n + 0.5) / 8), math.sin(math.tau * (n + 0.5) / 8)) for n in range(8)]
    draft.face([(-0.04, 0.62 * y, 0.62 * z) for y, z in corners], Material.TRIM)
    draft.face([(0.02, 0.62 * y, 0.62 * z) for y, z in corners], Material.RIM)
    draft.face([(0.03, 0.56 * y, 0.56 * z) for y, z in corners], Material.PAINT)
    for left in (-0.4, -0.19, 0.02, 0.23):
        draft.face([(0.04, left + a, b) for a, b in ((0, -0.16), (0.16, -0.16), (0.16, 0.16), (0, 0.16))], Material.RIM)
