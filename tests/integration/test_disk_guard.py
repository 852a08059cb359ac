"""The disk of the pictures: what goes first, and that writing stops and is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from assessment import disk_guard
from assessment.evidence import Pictures, keep_evidence
from assessment.models import Assessment, Evidence
from assessment.risk import RiskLevel
from tests.factories import NOON, frames_before, make_camera, record
from tests.integration.test_pages import browser, make_user
from workers import retention

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
MB = 1_000_000


@pytest.fixture(autouse=True)
def own_media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    """A disk that has so many megabytes free without any picture, each of which takes one of them."""

    def of(size: int) -> None:
        def usage(_path: object) -> SimpleNamespace:
            return SimpleNamespace(free=(size - len(list(tmp_path.rglob("*.jpg")))) * MB)

        monkeypatch.setattr("assessment.disk_guard.shutil.disk_usage", usage)

    return of


def keep(level: str) -> int:
    """Evidence of a verdict of a level, "" where there is none; its question."""
    question = Assessment.objects.get(frame_result=record(make_camera()))
    keep_evidence(question.pk, Pictures(b"picture", (160, 90)))
    if level:
        Assessment.objects.filter(pk=question.pk).update(status="done", risk_level=level, risk_type="red_light")
    else:
        Assessment.objects.filter(pk=question.pk).update(status="failed")
    return question.pk


def kept() -> set[int]:
    return set(Evidence.objects.values_list("assessment", flat=True))


def test_least_severe_and_oldest_evidence_goes_until_there_is_room(
    disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk(10_000)
    monkeypatch.setattr(disk_guard, "AT_ONCE", 1)
    high, old_medium, medium, unanswered, low = (keep(each) for each in ("high", "medium", "medium", "", "low"))
    disk(2003)
    assert retention.guard_disk() == 2
    assert kept() == {high, medium, unanswered}
    assert old_medium not in kept()
    assert low not in kept()
    assert len(list(tmp_path.rglob("*.jpg"))) == 3
    disk(2001)
    assert retention.guard_disk() == 2
    assert kept() == {high}


def test_nothing_is_given_up_while_there_is_room(disk: Callable[[int], None]) -> None:
    disk(5000)
    question = keep("low")
    assert retention.guard_disk() == 0
    assert kept() == {question}


def test_full_disk_stops_writing_and_is_said_on_pages_and_in_metrics(
    disk: Callable[[int], None], client: Client
) -> None:
    desk, words = browser(make_user()), "The disk is full."
    disk(600)
    assert words not in desk.get("/alerts/").content.decode()
    disk(499)
    assert keep("high") not in kept()
    retention.guard_disk()
    assert words in desk.get("/alerts/").content.decode()
    lines = client.get("/metrics").content.decode().splitlines()
    assert "evidence_paused 1.0" in lines
    assert "media_free_bytes 4.99e+08" in lines
    disk(600)
    assert keep("high") in kept()
    retention.guard_disk()
    assert "evidence_paused 0.0" in client.get("/metrics").content.decode().splitlines()


def test_frames_go_by_their_level_with_their_pictures(tmp_path: Path) -> None:
    from datetime import timedelta

    from assessment.models import FrameResult
    from assessment.results import forget_frames

    levels = ("low", "high")
    questions = {level: keep(level) for level in levels}
    for level, question in questions.items():
        FrameResult.objects.filter(assessments=question).update(status="done", max_risk_level=level)
    later = frames_before(calm=NOON, risky=NOON) | {RiskLevel.LOW: NOON + timedelta(days=1)}
    assert forget_frames(later) == 1
    assert kept() == {questions["high"]}
    assert len(list(tmp_path.rglob("*.jpg"))) == 1
