"""Validators of what is drawn on a camera's picture."""

from __future__ import annotations

import math

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from trafficmon.core.objects import ObjectClass

SHORTEST_LINE = 0.01
"""Of a counting line, in shares of the picture: nobody is seen to cross less."""


def check_polygon(value: object) -> None:
    """Refuse anything but 3 to 100 `[x, y]` corners within the picture (shares, 0 to 1)."""
    if not isinstance(value, list) or not 3 <= len(value) <= 100 or not all(_is_corner(each) for each in value):
        raise ValidationError(_("Give 3 to 100 corners as [[x, y], ...], each number between 0 and 1."))


def check_line(value: object) -> None:
    """Refuse anything but two `[x, y]` ends within the picture (shares, 0 to 1) that are apart."""
    if not isinstance(value, list) or len(value) != 2 or not all(_is_corner(each) for each in value):
        raise ValidationError(_("Give two ends as [[x, y], [x, y]], each number between 0 and 1."))
    (start_x, start_y), (end_x, end_y) = value
    if math.hypot(end_x - start_x, end_y - start_y) < SHORTEST_LINE:
        raise ValidationError(_("The two ends are too close to each other."))


def _is_corner(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(number, int | float) and 0 <= number <= 1 for number in value)
    )


def check_classes(value: object) -> None:
    """Refuse anything but a list of known classes."""
    if not isinstance(value, list) or any(each not in set(ObjectClass) for each in value):
        raise ValidationError(_("Give a list of: %(known)s."), params={"known": ", ".join(ObjectClass)})
