"""Every list of the admin takes the same queries however long it is, can be searched, and asks nothing per row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from assessment.models import (
    Account,
    Alert,
    ApiKey,
    CameraRoute,
    DeadLetter,
    LineCount,
    ModelPrice,
    PoolPolicy,
    Spending,
)
from cameras.models import CameraGroup, CountingLine
from tests.factories import NOON, make_camera, make_token, record, seal
from trafficmon.accounts.models import AuditEntry, User
from trafficmon.accounts.roles import Role, Scope
from trafficmon.back_office.models import ImportedCamera, StatisticsReport
from trafficmon.core.clock import utc_now
from trafficmon.exports.models import Event, Sink
from trafficmon.notifications.models import Delivery, Destination, Message, Rule

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def _camera(number: int) -> None:
    group = CameraGroup.objects.create(name=f"group {number}")
    make_camera(group=group, state_since=utc_now(), last_frame_at=utc_now())


def _group(number: int) -> None:
    group = CameraGroup.objects.create(name=f"group {number}")
    group.viewers.add(User.objects.create(username=f"viewer {number}"))
    make_camera(group=group)


def _alert(number: int) -> None:
    row = record(make_camera(), captured_at=NOON + timedelta(hours=number))
    user = User.objects.create(username=f"operator {number}")
    Alert.objects.create(
        camera=row.camera,
        assessment=row.assessments.get(),
        risk_type="collision",
        risk_level="high",
        place=[0, 0, 1, 1],
        opened_at=NOON,
        last_seen_at=NOON,
        acknowledged_by=user,
    )


def _frame(number: int) -> None:
    record(make_camera(), captured_at=NOON + timedelta(hours=number))


def _letter(number: int) -> None:
    row = record(make_camera(), captured_at=NOON + timedelta(hours=number))
    user = User.objects.create(username=f"supervisor {number}")
    fields = {"reason": "timeout", "attempts": 3, "died_at": NOON, "state": "dropped", "ended_at": NOON}
    DeadLetter.objects.create(assessment=row.assessments.get(), ended_by=user, **fields)


def _key(number: int) -> ApiKey:
    account = Account.objects.create(slug=f"account-{number}")
    return ApiKey.objects.create(slug=f"key-{number}", account=account, secret_encrypted=seal())


def _route(number: int) -> None:
    CameraRoute.objects.create(camera=make_camera(), key=_key(number))


def _count(number: int) -> None:
    line = CountingLine.objects.create(camera=make_camera(), name=f"line {number}", ends=[[0, 0], [1, 1]])
    LineCount.objects.create(line=line, hour=NOON, object_class="car", direction="forward", count=3)


def _spending(number: int) -> None:
    Spending.objects.create(day=NOON.date(), camera=make_camera(), account=f"a{number}", key="k", model="m")


def _price(number: int) -> None:
    ModelPrice.objects.create(model=f"model {number}", input_price=1, output_price=2)


def _policy(_number: int) -> None:
    PoolPolicy.objects.get_or_create(pk=1)


def _user(number: int) -> None:
    User.objects.create(username=f"user {number}", role=Role.OPERATOR)


def _rights(number: int) -> None:
    Group.objects.create(name=f"rights {number}")


def _token(number: int) -> None:
    make_token(User.objects.create(username=f"owner {number}"), Scope.READ)


def _entry(number: int) -> None:
    AuditEntry.objects.create(at=NOON, action="camera.add", actor_name=f"user {number}")


def _rule(number: int) -> Rule:
    rule = Rule.objects.create(name=f"rule {number}", levels=["high"])
    rule.destinations.add(_destination(number))
    return rule


def _destination(number: int) -> Destination:
    return Destination.objects.create(name=f"destination {number}", kind="webhook", reached_at=NOON)


def _message(number: int) -> Message:
    return Message.objects.create(rule=_rule(number), created_at=NOON, title="High risk")


def _delivery(number: int) -> None:
    message = _message(number)
    destination = Destination.objects.get(name=f"destination {number}")
    Delivery.objects.create(message=message, destination=destination, next_at=NOON)


def _imported(number: int) -> None:
    ImportedCamera.objects.create(number=number + 1, camera=make_camera(), imported_at=NOON)


def _report(number: int) -> None:
    StatisticsReport.objects.create(hour=NOON + timedelta(hours=number), next_at=NOON)


def _event(number: int) -> None:
    Event.objects.create(event_id=str(number), sink="kafka", topic="alerts", camera_id=1, body="{}", created_at=NOON)


def _sink(number: int) -> None:
    Sink.objects.get_or_create(name=("kafka", "mqtt", "webhook")[number])


LISTS: dict[str, tuple[Callable[[int], Any], int]] = {
    "accounts.apitoken": (_token, 8),
    "accounts.auditentry": (_entry, 5),
    "accounts.user": (_user, 7),
    "assessment.account": (_key, 4),
    "assessment.alert": (_alert, 5),
    "assessment.apikey": (_key, 5),
    "assessment.assessment": (_frame, 5),
    "assessment.cameraroute": (_route, 6),
    "assessment.deadletter": (_letter, 6),
    "assessment.frameresult": (_frame, 5),
    "assessment.linecount": (_count, 6),
    "assessment.modelprice": (_price, 5),
    "assessment.poolpolicy": (_policy, 4),
    "assessment.spending": (_spending, 9),
    "auth.group": (_rights, 5),
    "back_office.importedcamera": (_imported, 6),
    "back_office.statisticsreport": (_report, 6),
    "cameras.camera": (_camera, 8),
    "cameras.cameragroup": (_group, 4),
    "exports.event": (_event, 4),
    "exports.sink": (_sink, 4),
    "notifications.delivery": (_delivery, 7),
    "notifications.destination": (_destination, 7),
    "notifications.message": (_message, 5),
    "notifications.rule": (_rule, 7),
}
"""How a row of each list is made, and the queries that the list takes."""


def test_every_list_is_among_these() -> None:
    assert {model._meta.label_lower for model in admin.site._registry} == set(LISTS)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", LISTS)
def test_list_takes_the_same_queries_however_long(
    name: str, rows: int, admin_client: Client, django_assert_num_queries: Any
) -> None:
    make, queries = LISTS[name]
    for number in range(rows):
        make(number)
    url = reverse(f"admin:{name.replace('.', '_')}_changelist")
    admin_client.get(url)
    with django_assert_num_queries(queries):
        page = admin_client.get(url)
    assert page.status_code == 200
    assert page.context["cl"].result_count >= (1 if name == "assessment.poolpolicy" else rows)


@pytest.mark.parametrize("name", [each for each in LISTS if each not in {"assessment.poolpolicy"}])
def test_list_can_be_searched(name: str, admin_client: Client) -> None:
    LISTS[name][0](0)
    url = reverse(f"admin:{name.replace('.', '_')}_changelist")
    found = admin_client.get(url, {"q": "nothing is called so"})
    assert (found.status_code, found.context["cl"].result_count) == (200, 0)
