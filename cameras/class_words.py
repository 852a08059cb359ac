"""What people read for the classes of objects."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from trafficmon.core.objects import ObjectClass

CLASS_WORDS: dict[str, Promise] = {
    ObjectClass.PERSON: _("person"),
    ObjectClass.BICYCLE: _("bicycle"),
    ObjectClass.CAR: _("car"),
    ObjectClass.MOTORCYCLE: _("motorcycle"),
    ObjectClass.BUS: _("bus"),
    ObjectClass.TRUCK: _("truck"),
    ObjectClass.TRAFFIC_LIGHT: _("traffic light"),
    ObjectClass.STOP_SIGN: _("stop sign"),
}
