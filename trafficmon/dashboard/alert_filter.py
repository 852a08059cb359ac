"""What the alert list is narrowed to and where a page of it begins: both live in the URL."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from assessment.models import LEVEL_CHOICES, TYPE_CHOICES, Alert, AlertJudgement, AlertKind, AlertState, Truth
from assessment.models.alerts import AlertQuerySet
from assessment.risk import RiskLevel
from cameras.models import Camera
from cameras.removal import removed_numbers
from trafficmon.accounts.models import User
from trafficmon.core.clock import EARLIEST, LATEST

Rows = TypeVar("Rows", bound=QuerySet[Any])
_PLACE = re.compile(r"(\d{1,17})-(\d{1,18})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSSIBLE = (MinValueValidator(EARLIEST), MaxValueValidator(LATEST))
_JUDGED = Exists(AlertJudgement.objects.filter(alert=OuterRef("pk")))


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list that has the newest first: behind the row of this moment and number."""

    at: datetime
    row_id: int

    @classmethod
    def read(cls, text: str) -> Place | None:
        """From a URL, as `str` writes it; None where it means nothing."""
        found = _PLACE.fullmatch(text)
        return cls(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.row_id}"


def of_visible(rows: Rows, user: User, visible: Sequence[int]) -> Rows:
    """Those of the cameras that the user may see, which have these numbers.

    By numbers: so the database knows how few they are, or that all are, and walks the index that fits.
    """
    if user.sees_every_camera:
        return rows.exclude(camera__in=removed_numbers())
    return rows.filter(camera__in=visible)


def _judged_as(truth: Truth, alerts: AlertQuerySet) -> AlertQuerySet:
    return alerts.filter(pk__in=AlertJudgement.objects.filter(truth=truth, alert__isnull=False).values("alert"))


_JUDGEMENTS: dict[str, tuple[object, Callable[[AlertQuerySet], AlertQuerySet]]] = {
    "no": (_("not judged"), lambda alerts: alerts.filter(~_JUDGED, kind=AlertKind.DANGER)),
    "yes": (_("judged"), lambda alerts: alerts.filter(_JUDGED)),
    **{each.value: (each.label, partial(_judged_as, each)) for each in Truth},
}


class AlertFilter(forms.Form):
    """What the list is narrowed to."""

    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=[("", _("all kinds")), *AlertKind.choices])
    level = forms.ChoiceField(
        label=_("Level"),
        required=False,
        choices=[("", _("all levels")), *(each for each in LEVEL_CHOICES if each[0] != RiskLevel.NONE)],
    )
    type = forms.ChoiceField(label=_("Type"), required=False, choices=[("", _("all types")), *TYPE_CHOICES])
    state = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("all states")), *AlertState.choices])
    camera = forms.TypedChoiceField(label=_("Camera"), required=False, coerce=int, empty_value=None)
    assigned = forms.ChoiceField(
        label=_("Assigned"),
        required=False,
        choices=[("", _("to anybody")), ("me", _("to me")), ("nobody", _("to nobody"))],
    )
    judged = forms.ChoiceField(
        label=_("Judgement"),
        required=False,
        choices=[("", _("any")), *((value, label) for value, (label, _narrow) in _JUDGEMENTS.items())],
    )
    since = forms.DateTimeField(label=_("From"), required=False, validators=_POSSIBLE)
    until = forms.DateTimeField(label=_("Until"), required=False, validators=_POSSIBLE)

    def __init__(self, *args: object, user: User, cameras: Sequence[Camera], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        self.user = user
        self.visible = [camera.pk for camera in cameras]
        camera = cast("forms.TypedChoiceField", self.fields["camera"])
        camera.choices = [("", _("all cameras")), *((each.pk, each.name) for each in cameras)]
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def narrow(self) -> AlertQuerySet:
        """The visible alerts that match, newest first; a value that means nothing matches nothing."""
        if not self.is_valid():
            return Alert.objects.none()
        wanted = {
            "kind": "kind",
            "risk_level": "level",
            "risk_type": "type",
            "state": "state",
            "camera": "camera",
            "opened_at__gte": "since",
            "opened_at__lt": "until",
        }
        chosen = {field: self.cleaned_data[name] for field, name in wanted.items() if self.cleaned_data[name]}
        alerts = of_visible(Alert.objects.filter(**chosen), self.user, self.visible)
        return self._of_judgement(self._of_assignee(alerts))

    def _of_assignee(self, alerts: AlertQuerySet) -> AlertQuerySet:
        whose = {"": Q(), "me": Q(assigned_to=self.user), "nobody": Q(assigned_to=None)}
        return alerts.filter(whose[self.cleaned_data["assigned"]])

    def _of_judgement(self, alerts: AlertQuerySet) -> AlertQuerySet:
        wanted = self.cleaned_data["judged"]
        return _JUDGEMENTS[wanted][1](alerts) if wanted else alerts
