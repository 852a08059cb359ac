"""Of which time and camera the page tells how well the system judges: both live in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast

from django import forms
from django.core.validators import MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from assessment.days import begin_of
from cameras.models import Camera
from trafficmon.core.clock import EARLIEST

MOST_DAYS = 92
PERIODS = {"today": (1, _("today")), "week": (7, _("7 days")), "month": (30, _("30 days"))}
USUAL = "week"
SHORT = timedelta(hours=49)
"""Up to so long a time is told by the hour, a longer one by the day."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of the installation, the last of which may not be over: from `since` to before `before`."""

    first: date
    last: date
    since: datetime
    before: datetime

    @classmethod
    def of_days(cls, first: date, last: date, now: datetime) -> Period:
        """From the first to the last day, each included."""
        return cls(first, last, begin_of(first), min(now, begin_of(last + timedelta(days=1))))

    @property
    def is_short(self) -> bool:
        return self.before - self.since <= SHORT

    def name_of(self, moment: datetime) -> str:
        """The part of the period to which a moment belongs, as it is named in charts."""
        return f"{timezone.localtime(moment):{'%m-%d %H:00' if self.is_short else '%Y-%m-%d'}}"


class PeriodForm(forms.Form):
    """The last days as they are named, or from one day to another, and which camera; named days count where no other
    is given."""

    period = forms.ChoiceField(required=False, choices=[(key, name) for key, (_days, name) in PERIODS.items()])
    first = forms.DateField(label=_("From"), required=False, validators=[MinValueValidator(EARLIEST.date())])
    last = forms.DateField(label=_("To"), required=False, validators=[MinValueValidator(EARLIEST.date())])
    camera = forms.TypedChoiceField(label=_("Camera"), required=False, coerce=int, empty_value=None)

    def __init__(self, *args: object, cameras: Sequence[Camera], now: datetime, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        self.now = now
        camera = cast("forms.TypedChoiceField", self.fields["camera"])
        camera.choices = [("", _("all cameras")), *((each.pk, each.name) for each in cameras)]
        for name in ("first", "last"):
            self.fields[name].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def clean(self) -> dict[str, Any]:
        """The days have to follow one another, and not be too many."""
        asked: dict[str, Any] = super().clean() or {}
        first, last = asked.get("first"), asked.get("last")
        if first and last and first > last:
            raise forms.ValidationError(_("The first day is after the last."))
        if first and (last or timezone.localdate(self.now)) - first >= timedelta(days=MOST_DAYS):
            raise forms.ValidationError(_("Choose %(days)d days at most.") % {"days": MOST_DAYS})
        return asked

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for; nothing where that cannot be."""
        return self.cleaned_data if self.is_valid() else {}

    @property
    def named(self) -> str:
        """Which of the named periods is shown; "" where days are given."""
        by_days = self.asked.get("first") or self.asked.get("last")
        return "" if by_days else self.asked.get("period") or USUAL

    @property
    def chosen(self) -> Period:
        """The period; the usual one where what was asked for cannot be."""
        today = timezone.localdate(self.now)
        if self.named:
            return Period.of_days(today - timedelta(days=PERIODS[self.named][0] - 1), today, self.now)
        last = min(self.asked.get("last") or today, today)
        first = self.asked.get("first") or last - timedelta(days=PERIODS[USUAL][0] - 1)
        return Period.of_days(min(first, last), last, self.now)
