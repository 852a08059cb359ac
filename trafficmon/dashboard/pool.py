"""The page of the key pool: where accounts and keys stand, taken out and put back, and questions that were given up."""

from __future__ import annotations

from datetime import timedelta
from typing import cast
from urllib.parse import urlencode

import redis
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from assessment import dead_letters, switching
from assessment.clients import UnableToAssess
from assessment.dead_letters import MOST_AT_ONCE, Chosen
from assessment.ledger import prices, todays_ledger
from assessment.limits import KeyState
from assessment.models import Account, ApiKey
from assessment.pool_figures import LATELY, pool_figures
from cameras.models import Camera
from trafficmon.accounts import audit
from trafficmon.accounts.access import caller_of
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.rights import allowed

MAY_LOOK, MAY_SWITCH = Role.SUPERVISOR, Role.ADMINISTRATOR
SHOWN_LETTERS = 100
STATE_WORDS = {
    KeyState.AVAILABLE: gettext_lazy("available"),
    KeyState.IN_USE: gettext_lazy("in use"),
    KeyState.COOLING: gettext_lazy("cooling"),
    KeyState.DISABLED: gettext_lazy("taken out"),
}


class LetterFilter(forms.Form):
    """Which questions that were given up are meant."""

    reason = forms.ChoiceField(label=gettext_lazy("Reason"), required=False)
    camera = forms.ModelChoiceField(
        label=gettext_lazy("Camera"),
        required=False,
        queryset=Camera.objects.none(),
        empty_label=gettext_lazy("all cameras"),
    )
    before = forms.DateTimeField(
        label=gettext_lazy("Given up before"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        visible = Camera.objects.visible_to(user)
        cast("forms.ModelChoiceField[Camera]", self.fields["camera"]).queryset = visible
        waiting = dead_letters.waiting(Chosen(cameras=visible)).order_by("reason")
        reasons = waiting.values_list("reason", flat=True).distinct()
        choices = [("", _("all reasons")), *((each, each) for each in reasons)]
        cast("forms.ChoiceField", self.fields["reason"]).choices = choices
        self.visible = visible

    def chosen(self, ids: tuple[int, ...] | None = None) -> Chosen:
        """Those that are meant and may be seen; a filter that cannot be narrows to nothing."""
        if not self.is_valid():
            return Chosen(ids=(), cameras=self.visible)
        told, camera = self.cleaned_data, self.cleaned_data["camera"]
        return Chosen(ids, told["reason"], camera.pk if camera else None, told["before"], self.visible)


@require_GET
@login_required
def keys_page(request: HttpRequest) -> HttpResponse:
    """The pool, kept fresh, and the questions that were given up, as the address narrows them."""
    user = allowed(request, MAY_LOOK).user
    form = LetterFilter(request.GET, user=user)
    letters = dead_letters.waiting(form.chosen())
    context = {
        **_pool(request, user),
        "filter": form,
        "query": request.GET.urlencode(),
        "letters": letters.select_related("assessment__camera")[:SHOWN_LETTERS],
        "letter_count": letters.count(),
        "most_at_once": MOST_AT_ONCE,
    }
    return render(request, "dashboard/keys.html", context)


@require_GET
@login_required
def keys_now(request: HttpRequest) -> HttpResponse:
    """The part of the page that is fetched anew."""
    return render(request, "dashboard/keys_now.html", _pool(request, allowed(request, MAY_LOOK).user))


def _pool(request: HttpRequest, user: User) -> dict[str, object]:
    environment = settings.ENVIRONMENT
    models = list(dict.fromkeys(filter(None, (environment.llm_model, environment.llm_cheaper_model))))
    model = request.GET.get("model", "")
    model = model if model in models else models[0]
    context: dict[str, object] = {
        "model": model,
        "models": models,
        "unpriced": [each for each in models if each not in prices()],
        "may_switch": user.may(MAY_SWITCH),
        "now": utc_now(),
        "state_words": STATE_WORDS,
        "lately_minutes": LATELY // timedelta(minutes=1),
    }
    try:
        accounts = pool_figures(model, now=utc_now())
    except (UnableToAssess, redis.RedisError) as error:
        return {**context, "trouble": str(error)}
    return {**context, "accounts": accounts, "purse": todays_ledger().pool}


@require_POST
@login_required
def switch_key(request: HttpRequest) -> HttpResponseRedirect:
    """Take a key or an account out of the pool, or put it back."""
    caller = allowed(request, MAY_SWITCH)
    kind: type[ApiKey | Account] = Account if request.POST.get("kind") == "account" else ApiKey
    row = cast("ApiKey | Account", get_object_or_404(kind, slug=request.POST.get("slug", "")))
    if on := request.POST.get("on") == "yes":
        switching.put_back(row, by=caller)
    else:
        switching.take_out(row, "", by=caller, now=utc_now())
    told = _("%s is back in the pool.") if on else _("%s is taken out of the pool.")
    messages.success(request, told % row.slug)
    return redirect("keys")


@require_POST
@login_required
def act_on_letters(request: HttpRequest, action: str) -> HttpResponseRedirect:
    """Send again or drop one question that was given up, those that are ticked, or all that the filter leaves."""
    user = allowed(request, MAY_LOOK).user
    form = LetterFilter(request.POST, user=user)
    chosen = _chosen(request, form)
    meant = min(dead_letters.waiting(chosen).count(), MOST_AT_ONCE)
    done = _send(request, chosen) if action == "send" else _drop(request, chosen)
    if not meant:
        messages.warning(request, _("No question is selected."))
    elif done < meant:
        told = _("%(count)d of %(meant)d. The others wait until their frame is closed, or somebody was quicker.")
        messages.warning(request, told % {"count": done, "meant": meant})
    kept = urlencode({name: request.POST[name] for name in form.fields if request.POST.get(name)})
    return redirect(f"{reverse('keys')}?{kept}#letters")


def _chosen(request: HttpRequest, form: LetterFilter) -> Chosen:
    """The letter whose button was pressed, else all that the filter leaves, else those that are ticked."""
    only = request.POST.getlist("only")[-1:]
    if request.POST.get("all") == "yes" and not only:
        return form.chosen()
    numbers = (only or request.POST.getlist("letter"))[:MOST_AT_ONCE]
    ids = tuple(int(each) for each in numbers if each.isdecimal() and len(each) < 19)
    return Chosen(ids=ids, cameras=form.visible)


def _send(request: HttpRequest, chosen: Chosen) -> int:
    patience = timedelta(seconds=settings.ENVIRONMENT.assessment_deadline_seconds)
    again = dead_letters.send_again(chosen, now=utc_now(), patience=patience, by=cast("User", request.user))
    if again:
        audit.record(caller_of(request), "deadletter.send_again", assessments=again)
        text = ngettext("%(n)d question is put again.", "%(n)d questions are put again.", len(again))
        messages.success(request, text % {"n": len(again)})
    return len(again)


def _drop(request: HttpRequest, chosen: Chosen) -> int:
    dropped = dead_letters.drop(chosen, now=utc_now(), by=cast("User", request.user))
    if dropped:
        order = {"ids": list(chosen.ids or ()), "reason": chosen.reason, "camera": chosen.camera_id}
        audit.record(caller_of(request), "deadletter.drop", count=dropped, order=order)
        text = ngettext("%(n)d question is dropped.", "%(n)d questions are dropped.", dropped)
        messages.success(request, text % {"n": dropped})
    return dropped
