"""Frames whose answers have come are closed together, by one worker that stays awake for more."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import redis

from assessment import alerts
from assessment.models import Alert, Assessment, FrameResult
from assessment.risk import AssessmentStatus, RiskLevel
from tests.factories import NOON, make_camera, record
from workers import closing

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def answered(level: RiskLevel = RiskLevel.NONE, *, after_seconds: int = 0) -> FrameResult:
    row = record(make_camera(), captured_at=NOON + timedelta(seconds=after_seconds))
    Assessment.objects.filter(frame_result=row).update(
        status=AssessmentStatus.DONE, risk_level=level, risk_type="other", ended_at=NOON
    )
    return row


def statuses() -> list[str]:
    return list(FrameResult.objects.order_by("pk").values_list("status", flat=True))


def test_all_answered_frames_are_closed_at_once(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "AT_ONCE", 2)
    for number in range(5):
        answered(RiskLevel.HIGH if number == 3 else RiskLevel.NONE)
    record(make_camera())
    closing.close_answered()
    assert statuses() == ["done"] * 5 + ["pending"]
    assert Alert.objects.count() == 1
    assert not closing.is_somebody_closing()


def test_nobody_need_be_woken_while_somebody_closes(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def find_none() -> int:
        seen.append(closing.is_somebody_closing())
        return 0

    monkeypatch.setattr(closing, "_close_some", find_none)
    closing.close_answered()
    # The last look is for what was answered while the worker fell asleep.
    assert seen == [True, False]
    assert 0 < closing.AWAKE_MS <= 5000


def test_frame_that_cannot_be_closed_does_not_hold_up_the_others(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [answered(RiskLevel.MEDIUM) for _ in range(3)]
    answered()
    real = alerts.apply_verdicts

    def apply(row: FrameResult) -> list[alerts.AlertChange]:
        if row.pk == rows[1].pk:
            raise ValueError("cannot be read")
        return real(row)

    monkeypatch.setattr(alerts, "apply_verdicts", apply)
    for _wake_up in range(30):
        with pytest.raises(ValueError, match="cannot be read"):
            closing.close_answered()
    assert statuses() == ["done", "pending", "done", "done"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_close_each_frame_once(redis_client: redis.Redis) -> None:
    for number in range(30):
        answered(RiskLevel.HIGH if number % 3 == 0 else RiskLevel.NONE, after_seconds=number)
    workers = [threading.Thread(target=_close_and_disconnect) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert statuses() == ["done"] * 30
    assert Alert.objects.count() == 10
    assert set(Alert.objects.values_list("times_seen", flat=True)) == {1}


def _close_and_disconnect() -> None:
    from django.db import connections

    closing.close_answered()
    connections.close_all()
