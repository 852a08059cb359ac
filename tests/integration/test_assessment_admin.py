"""What administrators can look at, and cannot change."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from assessment.alerts import apply_verdicts
from assessment.models import Alert, Assessment
from tests.factories import NOON, make_camera, record

pytestmark = pytest.mark.django_db


def raise_alerts(count: int) -> None:
    for number in range(count):
        row = record(make_camera(), captured_at=NOON + timedelta(hours=number))
        Assessment.objects.filter(frame_result=row).update(status="done", risk_level="high", risk_type="collision")
        assert len(apply_verdicts(row)) == 1


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("model", ["assessment", "alert", "frameresult"])
def test_list_takes_the_same_queries_however_long(
    admin_client: Client, django_assert_num_queries: DjangoAssertNumQueries, model: str, count: int
) -> None:
    raise_alerts(count)
    with django_assert_num_queries(5):
        page = admin_client.get(reverse(f"admin:assessment_{model}_changelist"))
    assert page.content.decode().count("action-select") == 0
    assert page.context["cl"].result_count == count


def test_results_cannot_be_changed_by_hand(admin_client: Client) -> None:
    raise_alerts(1)
    for model, row in (("assessment", Assessment.objects.get()), ("alert", Alert.objects.get())):
        detail = reverse(f"admin:assessment_{model}_change", args=[row.pk])
        assert admin_client.get(detail).status_code == 200
        assert admin_client.post(detail, {}).status_code == 403
        assert admin_client.get(reverse(f"admin:assessment_{model}_add")).status_code == 403
