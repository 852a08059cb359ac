"""What is done with one alert or many at once: acknowledged, assigned, commented, judged, exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from assessment.models import LEVEL_CHOICES, Alert, Truth
from assessment.review import (
    Opinion,
    UnfitAssignee,
    UnfitJudgement,
    assign,
    comment,
    judge_alert,
    usual_opinion,
)
from assessment.risk import RiskLevel
from trafficmon.accounts import audit
from trafficmon.accounts.access import Caller
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.alert_export import MOST_EXPORTED, export
from trafficmon.dashboard.rights import allowed
from trafficmon.exports.acknowledging import acknowledge

MOST_AT_ONCE = 200
LONGEST_COMMENT = 4000
NOBODY = "nobody"
_DEALS_WITH_ALERTS = (Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)


def assignees() -> list[User]:
    """Who may be given alerts."""
    able = User.objects.filter(Q(role__in=_DEALS_WITH_ALERTS) | Q(is_superuser=True), is_active=True)
    return list(able.order_by("username"))


class ActionForm(forms.Form):
    """What is to be done, with what it needs."""

    to = forms.CharField(required=False, max_length=20)
    words = forms.CharField(required=False, max_length=LONGEST_COMMENT)
    truth = forms.ChoiceField(required=False, choices=[("", ""), *Truth.choices])
    right_level = forms.ChoiceField(required=False, choices=[("", ""), *LEVEL_CHOICES])


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to be done with alerts, checked for its form alone."""

    by: Caller
    now: datetime
    to: str
    words: str
    truth: str
    right_level: str


def _acknowledge(alert: Alert, wish: Wish) -> bool:
    return acknowledge(alert, by=wish.by, now=wish.now)


def _assign(alert: Alert, wish: Wish) -> bool:
    to = _assignee(wish.to)
    if not assign(alert, to, by=wish.by.user, now=wish.now):
        return False
    audit.record(wish.by, "alert.assign", alert, to=to.get_username() if to else None)
    return True


def _assignee(named: str) -> User | None:
    """Whom a form names; None for nobody. Raises UnfitAssignee where there is no such person."""
    if named == NOBODY:
        return None
    found = User.objects.filter(pk=named).first() if named.isdecimal() else None
    if found is None:
        raise UnfitAssignee(named)
    return found


def _comment(alert: Alert, wish: Wish) -> bool:
    if not wish.words:
        return False
    comment(alert, wish.words, by=wish.by.user, now=wish.now)
    audit.record(wish.by, "alert.comment", alert)
    return True


def _judge(alert: Alert, wish: Wish) -> bool:
    if not wish.truth:
        raise UnfitJudgement
    truth = Truth(wish.truth)
    level = RiskLevel(wish.right_level) if wish.right_level else None
    opinion = Opinion(truth, level) if level else usual_opinion(truth, alert)
    if not judge_alert(alert, opinion, by=wish.by.user, now=wish.now):
        return False
    audit.record(wish.by, "alert.judge", alert, truth=truth, right_level=opinion.right_level or "")
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """A verb, who may do it, and how; `do` says whether it changed anything."""

    role: Role
    do: Callable[[Alert, Wish], bool]


ACTIONS = {
    "acknowledge": Action(Role.OPERATOR, _acknowledge),
    "assign": Action(Role.OPERATOR, _assign),
    "comment": Action(Role.OPERATOR, _comment),
    "judge": Action(Role.SUPERVISOR, _judge),
}


@require_POST
@login_required
def act(request: HttpRequest, action: str) -> HttpResponseRedirect:
    """Do one thing with the alerts that are named, and go back to where the button was."""
    caller = allowed(request, ACTIONS[action].role)
    form = ActionForm(request.POST)
    if not form.is_valid():
        messages.warning(request, _("This cannot be done as it was sent."))
        return _back(request)
    wish = Wish(by=caller, now=utc_now(), **form.cleaned_data)
    outcomes = [_outcome(ACTIONS[action], alert, wish) for alert in _chosen(request, caller.user)]
    refusals = [each for each in outcomes if isinstance(each, str)]
    if refusals:
        messages.warning(request, refusals[0])
    if len(refusals) < len(outcomes) or not outcomes:
        messages.success(request, _told(outcomes.count(True), len(outcomes)))
    return _back(request)


def _outcome(action: Action, alert: Alert, wish: Wish) -> bool | str:
    """Whether it changed the alert, or why it could not be done with it."""
    try:
        return _do(action, alert, wish)
    except UnfitAssignee as unfit:
        return str(_("%s may not deal with such alerts, or does not see their camera.")) % unfit
    except UnfitJudgement:
        return str(_("What is true has a level, what is false has none or low; lost cameras are not judged."))


@transaction.atomic
def _do(action: Action, alert: Alert, wish: Wish) -> bool:
    return action.do(alert, wish)


def _told(changed: int, of: int) -> str:
    if not of:
        return str(_("No alert is selected."))
    if changed == of:
        return ngettext("Done.", "Done with %(count)d alerts.", changed) % {"count": changed}
    return str(_("Done with %(changed)d of %(count)d; for the others nothing was left to do.")) % {
        "changed": changed,
        "count": of,
    }


@require_POST
@login_required
def export_alerts(request: HttpRequest) -> HttpResponseBase:
    """The alerts that are named as a ZIP with pictures and JSON."""
    caller = allowed(request, Role.SUPERVISOR)
    alerts = _chosen(request, caller.user, most=MOST_EXPORTED)
    if not alerts:
        messages.warning(request, _("No alert is selected."))
        return _back(request)
    for alert in alerts:
        audit.record(caller, "alert.export", alert)
    return export([alert.pk for alert in alerts])


def _chosen(request: HttpRequest, user: User, most: int = MOST_AT_ONCE) -> Sequence[Alert]:
    """Those named that the user may see; somebody who may not see one that is named alone is told it does not exist."""
    named = [each for each in request.POST.getlist("alert")[:most] if each.isdecimal() and len(each) < 19]
    visible = Alert.objects.visible_to(user).select_related("camera", "assessment")
    if len(named) == 1:
        return [get_object_or_404(visible, pk=named[0])]
    return list(visible.filter(pk__in=named).order_by("pk"))


def _back(request: HttpRequest, otherwise: str = "") -> HttpResponseRedirect:
    """To where the form says that it was sent from, if that is here."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return redirect(back if safe else otherwise or reverse("alerts"))


@require_POST
@login_required
def acknowledge_alert(request: HttpRequest, alert_id: int) -> HttpResponseRedirect:
    """Acknowledge one alert, named by the address."""
    caller = allowed(request, Role.OPERATOR)
    visible = Alert.objects.visible_to(cast("User", request.user)).select_related("camera")
    alert = get_object_or_404(visible, pk=alert_id)
    if _do(ACTIONS["acknowledge"], alert, Wish(caller, utc_now(), "", "", "", "")):
        messages.success(request, _("Acknowledged."))
    return _back(request, reverse("alert", args=[alert_id]))
