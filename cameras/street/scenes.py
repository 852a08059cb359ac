"""The places that the synthetic street can show, each by its name in `street://NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cameras.street.crossroads import crossroads
from cameras.street.layout import Building, Light, Scene, Slot, View
from cameras.street.straights import avenue, highway
from cameras.street.truth import Incident

_DAY = Light(
    sky_high=(226, 170, 112),
    sky_low=(244, 232, 214),
    sun=(-0.55, -0.5, 0.95),
    ambient=0.56,
    direct=0.52,
    tint=(1.0, 1.0, 1.0),
    hour=10,
)
_AFTERNOON = Light(
    sky_high=(206, 158, 124),
    sky_low=(206, 226, 246),
    sun=(-0.95, -0.3, 0.7),
    ambient=0.52,
    direct=0.55,
    tint=(0.9, 0.99, 1.05),
    hour=16,
)
_OVERCAST = Light(
    sky_high=(206, 196, 186),
    sky_low=(232, 230, 226),
    sun=(0.25, -0.3, 1.6),
    ambient=0.62,
    direct=0.36,
    tint=(1.0, 0.98, 0.96),
    hour=13,
)
_NIGHT = Light(
    sky_high=(38, 20, 12),
    sky_low=(84, 56, 46),
    sun=(0.0, 0.0, 1.0),
    ambient=0.36,
    direct=0.0,
    tint=(0.92, 0.96, 1.0),
    hour=22,
    night=True,
)

_THROUGH_N = ("n1-in", "n1-through", "n1-out")
_RED_LIGHT = Slot(Incident.RED_LIGHT, 24.2, 4.0, ("e1-in", "e1-through", "e1-out"), 106.0, 12.0)
_TOO_CLOSE = Slot(Incident.FOLLOWING_TOO_CLOSELY, 6.5, 6.0, _THROUGH_N, 96.0, 9.0)
_STOPPED = Slot(Incident.STOPPED_VEHICLE, 7.0, 9.0, ("n2-in", "n2-through", "n2-out"), 100.0, 10.0)
_JUNCTION_SCRIPT = (
    (
        _TOO_CLOSE,
        Slot(Incident.PEDESTRIAN_CONFLICT, 28.5, 7.0, ("n2-in", "n2-through", "n2-out"), 108.2, 10.0, footway=0),
    ),
    (_STOPPED, _RED_LIGHT),
    (Slot(Incident.WRONG_WAY, 6.0, 8.5, _THROUGH_N, 70.0, 10.0), _RED_LIGHT),
)
_NIGHT_CONFLICT = Slot(Incident.PEDESTRIAN_CONFLICT, 28.5, 7.0, _THROUGH_N, 108.2, 10.0, footway=0)
_NIGHT_SCRIPT = (
    (_TOO_CLOSE, _NIGHT_CONFLICT),
    (Slot(Incident.WRONG_WAY, 6.5, 7.0, ("s1-in", "s1-through", "s1-out"), 100.0, 10.0), _RED_LIGHT),
    (_STOPPED, _NIGHT_CONFLICT),
)
_AVENUE_SCRIPT = (
    (
        Slot(Incident.FOLLOWING_TOO_CLOSELY, 6.5, 6.0, ("n2-in", "n2-out"), 88.0, 10.5),
        Slot(Incident.PEDESTRIAN_CONFLICT, 22.4, 7.0, ("n3-in", "n3-out"), 112.2, 11.0, footway=0),
    ),
    (
        Slot(Incident.STOPPED_VEHICLE, 7.0, 8.5, ("s2-in", "s2-out"), 150.0, 11.0),
        Slot(Incident.RED_LIGHT, 19.6, 4.0, ("n1-in", "n1-out"), 112.0, 13.0),
    ),
    (
        Slot(Incident.WRONG_WAY, 6.0, 8.0, ("n1-in", "n1-out"), 90.0, 11.0),
        Slot(Incident.PEDESTRIAN_CONFLICT, 22.4, 7.0, ("n3-in", "n3-out"), 112.2, 11.0, footway=0),
    ),
)
_HIGHWAY_SCRIPT = (
    (
        Slot(Incident.FOLLOWING_TOO_CLOSELY, 7.0, 5.0, ("s1",), 190.0, 23.0),
        Slot(Incident.STOPPED_VEHICLE, 23.0, 10.0, ("s2",), 208.0, 21.0),
    ),
    (
        Slot(Incident.WRONG_WAY, 6.5, 6.5, ("n1",), 130.0, 20.0),
        Slot(Incident.FOLLOWING_TOO_CLOSELY, 24.0, 5.0, ("n2",), 70.0, 22.0),
    ),
    (
        Slot(Incident.STOPPED_VEHICLE, 7.0, 10.0, ("s3",), 195.0, 20.0),
        Slot(Incident.WRONG_WAY, 24.0, 6.5, ("n1",), 130.0, 20.0),
    ),
)

_BUILDINGS = (
    Building((21.0, 17.0, 44.0, 52.0), 15.0),
    Building((48.0, 15.0, 82.0, 40.0), 19.0),
    Building((-42.0, 17.0, -21.0, 40.0), 22.0),
    Building((-84.0, 16.0, -48.0, 40.0), 14.0),
    Building((-38.0, 48.0, -20.0, 90.0), 18.0),
    Building((22.0, 60.0, 50.0, 100.0), 24.0),
    Building((-60.0, -58.0, -30.0, -18.0), 9.0),
)

_LISTED: tuple[Scene, ...] = (
    crossroads("junction", View((25.0, -31.0, 11.5), (1.5, -1.0, 0.0), 0.66), _DAY, _BUILDINGS, _JUNCTION_SCRIPT),
    avenue("avenue", View((15.5, -27.0, 9.0), (-1.5, 10.0, 0.0), 0.78), _AFTERNOON, _AVENUE_SCRIPT),
    crossroads(
        "night-junction", View((-23.0, -32.0, 11.0), (-1.0, -1.0, 0.0), 0.68), _NIGHT, _BUILDINGS, _NIGHT_SCRIPT
    ),
    highway("highway", View((9.5, -16.0, 10.0), (0.5, 26.0, 0.0), 0.85), _OVERCAST, _HIGHWAY_SCRIPT),
)

SCENES: Mapping[str, Scene] = MappingProxyType({scene.name: scene for scene in _LISTED})
"""The names that `street://` accepts."""
