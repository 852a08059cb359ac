"""Validators of a calibration: four places marked in the picture and measured on the road."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeGuard

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from trafficmon.core.geometry import Point, corner_areas

FARTHEST_M = 10_000.0
LEAST_AREAS = {"picture": 0.002, "road": 2.0}
"""Of the triangle at each corner: 0.2 % of the picture, 2 square metres. Less is a line, or too small to measure by."""


def check_calibration(value: object) -> None:
    """Refuse anything but `{"picture": [[x, y], ...], "road": [[x, y], ...]}`, four places each, both convex.

    Those in the picture are shares of its width and height, 0 to 1, those on the road are metres.
    """
    if not _is_complete(value):
        raise ValidationError(
            _('Give four places as {"picture": [[x, y], ...], "road": [[x, y], ...]}, all of them numbers.')
        )
    if any(not 0 <= number <= 1 for number in chain.from_iterable(value["picture"])):
        raise ValidationError(_("Places in the picture are shares of its width and height, between 0 and 1."))
    if any(abs(number) > FARTHEST_M for number in chain.from_iterable(value["road"])):
        raise ValidationError(_("Places on the road are metres from any one of them, not coordinates of a map."))
    _check_shape(value["picture"], "picture", _("In the picture"))
    _check_shape(value["road"], "road", _("On the road"))


def _is_complete(value: object) -> TypeGuard[dict[str, list[list[float]]]]:
    return isinstance(value, dict) and set(value) == {"picture", "road"} and all(map(_has_four_places, value.values()))


def _has_four_places(places: Any) -> bool:
    return isinstance(places, list) and len(places) == 4 and all(map(_is_place, places))


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_shape(places: Sequence[Sequence[float]], side: str, where: object) -> None:
    corners: list[Point] = [(x, y) for x, y in places]
    areas = corner_areas(corners)
    if min(map(abs, areas)) < LEAST_AREAS[side]:
        raise ValidationError(
            _("%(where)s three of the places are nearly in one line, or too close together. Choose them far apart."),
            params={"where": where},
        )
    if len({area > 0 for area in areas}) > 1:
        raise ValidationError(
            _("%(where)s the places make no convex figure. Name them in order around it, the same on both sides."),
            params={"where": where},
        )
