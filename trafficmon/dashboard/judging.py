"""How well does it judge: precision by people's word, latency, failures, the gate, cost, counts; for supervisors."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from assessment.day_reading import spans_of_camera, spans_of_fleet, spending_by_day
from assessment.hour_reading import hours_of_camera, hours_of_fleet
from assessment.judged import judged_between, judged_of
from cameras.models import Camera
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.dashboard.charts import Chart
from trafficmon.dashboard.judging_charts import Known, cards_of, charts_of, gather
from trafficmon.dashboard.judging_period import PERIODS, Period, PeriodForm

MAY_SEE = Role.SUPERVISOR
"""Supervisors see every camera, so that what is of all cameras is theirs to see."""


@require_GET
@login_required
def judging_page(request: HttpRequest) -> HttpResponse:
    """The page; with `csv` in the address what one of its charts shows."""
    user = cast("User", request.user)
    if not user.may(MAY_SEE):
        raise PermissionDenied
    cameras = Camera.objects.visible_to(user)
    listed = list(cameras.only("name"))
    form = PeriodForm(request.GET, cameras=listed, now=utc_now())
    known = _known(form.chosen, form.asked.get("camera"), listed, cameras)
    charts = charts_of(known)
    if wanted := request.GET.get("csv"):
        return _download(wanted, charts, known.period)
    query = request.GET.copy()
    query.pop("csv", None)
    context = {
        "form": form,
        "period": known.period,
        "periods": [(key, words) for key, (_days, words) in PERIODS.items()],
        "camera": form.asked.get("camera"),
        "cards": cards_of(known),
        "charts": charts,
        "query": query.urlencode(),
    }
    return render(request, "dashboard/judging.html", context)


def _known(period: Period, camera_id: int | None, listed: list[Camera], cameras: QuerySet[Camera]) -> Known:
    """Of one camera, or of all together with what is left of those that are gone."""
    names: dict[int | None, str] = {each.pk: each.name for each in listed}
    time = (period.since, period.before)
    if camera_id is None:
        spans = hours_of_fleet(*time) if period.is_short else spans_of_fleet(*time)
        judged = judged_between(*time)
    else:
        spans = hours_of_camera(camera_id, *time) if period.is_short else spans_of_camera(camera_id, *time)
        judged = judged_of(cameras.filter(pk=camera_id), *time)
    spent = spending_by_day(period.first, period.last, camera_id)
    return Known(period, judged, gather(spans, period), {f"{day:%Y-%m-%d}": each for day, each in spent.items()}, names)


def _download(wanted: str, charts: list[Chart], period: Period) -> HttpResponse:
    chart = next((each for each in charts if each.key == wanted), None)
    if chart is None:
        raise Http404
    name = f"{chart.key}-{period.first:%Y-%m-%d}-{period.last:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return HttpResponse("".join(chart.csv()), content_type="text/csv; charset=utf-8", headers=headers)
