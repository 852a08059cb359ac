"""The closed set of things that are detected, shown and counted."""

from __future__ import annotations

from enum import StrEnum


class ObjectClass(StrEnum):
    """What a detection is, spelled as the outside contract spells it."""

    PERSON = "person"
    BICYCLE = "bicycle"
    CAR = "car"
    MOTORCYCLE = "motorcycle"
    BUS = "bus"
    TRUCK = "truck"
    TRAFFIC_LIGHT = "traffic_light"
    STOP_SIGN = "stop_sign"


ROAD_USERS = frozenset(set(ObjectClass) - {ObjectClass.TRAFFIC_LIGHT, ObjectClass.STOP_SIGN})
"""Those that move and can be in danger; lights and signs are shown but form no traffic groups."""

VEHICLES = ROAD_USERS - {ObjectClass.PERSON}
