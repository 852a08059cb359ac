"""The figures of hours against a direct count, on the real database, through all that closes and reopens frames."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from assessment import dead_letters
from assessment.day_reading import known_days, sums_by_camera
from assessment.days import add_up_days
from assessment.gate import Gated, Question, Skipped
from assessment.hour_reading import hours_of_camera, hours_of_fleet
from assessment.hours import add_up_hours, count_frames, count_unasked, forget_hours, recount_hour
from assessment.models import Assessment, CameraHour, DeadLetter, FleetDay, FleetHour, FrameResult, LineCount
from assessment.results import close_frames, record_frame
from assessment.risk import AssessmentStatus, JudgedBy, RiskLevel, SkipReason
from assessment.tally import Count, step_of
from cameras.models import Camera, CountingLine
from tests.factories import NOON, PATIENCE, make_camera, make_frame
from trafficmon.core.clock import utc_now

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
HOUR = timedelta(hours=1)
LATER = NOON + timedelta(days=2)


def store(camera: Camera, *, at: datetime, groups: int, left_out: int = 0) -> FrameResult:
    """A frame with a question about each group, and some groups left out."""
    frame = make_frame(camera.pk, groups=groups, captured_at=at)
    asked = tuple(Question(group.index, urgent=False) for group in frame.groups)
    skipped = tuple(Skipped(90 + number, SkipReason.LOW_PRIOR) for number in range(left_out))
    row = record_frame(frame, Gated(asked, skipped=skipped), now=at + timedelta(seconds=1), patience=PATIENCE)
    assert row is not None
    return row


def answer(row: FrameResult, chance: random.Random) -> None:
    """Each question that waits ends in some way."""
    for question in row.assessments.filter(status=AssessmentStatus.PENDING):
        status = chance.choice([*[AssessmentStatus.DONE] * 6, AssessmentStatus.FAILED, AssessmentStatus.EXPIRED])
        told: dict[str, object] = {"status": status}
        if status == AssessmentStatus.DONE:
            level = chance.choice(list(RiskLevel))
            sampled = chance.choice(["", "", SkipReason.LOW_PRIOR.value])
            told |= {"risk_level": level, "llm_seconds": round(chance.uniform(0.1, 20), 3), "sampled_from": sampled}
        elif status == AssessmentStatus.FAILED:
            letter = {"reason": "timeout", "attempts": 3, "died_at": NOON, "state": "waiting", "ended_at": None}
            DeadLetter.objects.update_or_create(assessment=question, defaults=letter)
        Assessment.objects.filter(pk=question.pk).update(**told)


def counted_directly(camera_id: int, hour: datetime) -> tuple[dict[Count, int], float, dict[int, int]]:
    """Out of the rows themselves, by other queries than those that are tested."""
    frames = FrameResult.objects.filter(camera=camera_id, captured_at__gte=hour, captured_at__lt=hour + HOUR)
    closed = frames.exclude(status=AssessmentStatus.PENDING)
    asked = Assessment.objects.filter(camera=camera_id, created_at__gte=hour, created_at__lt=hour + HOUR)
    asked = asked.exclude(frame_result__status=AssessmentStatus.PENDING)
    counts = {Count(f"frames_{each}"): closed.filter(status=each).count() for each in ("done", "failed", "expired")}
    counts[Count.FRAMES_SKIPPED] = closed.filter(status="skipped").count()
    counts |= {Count(each): asked.filter(status=each).count() for each in ("failed", "expired")}
    counts |= {Count(f"verdicts_{each}"): asked.filter(risk_level=each).count() for each in RiskLevel}
    judged = {"model": Count.ANSWERED, "reuse": Count.REUSED, "geometry": Count.GUESSED}
    counts |= {count: asked.filter(status="done", judged_by=judge).count() for judge, count in judged.items()}
    sampled = asked.exclude(sampled_from="").filter(status="done")
    counts[Count.SAMPLED] = sampled.count()
    counts[Count.MISSED] = sampled.filter(Q(risk_level="medium") | Q(risk_level="high")).count()
    counts[Count.LEFT_LOW_PRIOR] = sum(len(each.skipped_groups) for each in closed)
    times = list(
        asked.filter(judged_by=JudgedBy.MODEL, llm_seconds__isnull=False).values_list("llm_seconds", flat=True)
    )
    counts[Count.TIMED] = len(times)
    steps = Counter(step_of(each) for each in times if each is not None)
    return {each: count for each, count in counts.items() if count}, sum(filter(None, times)), dict(steps)


def added_up(camera_id: int, hour: datetime) -> tuple[dict[Count, int], float, dict[int, int]]:
    row = CameraHour.objects.filter(camera=camera_id, hour=hour).first()
    if row is None:
        return {}, 0, {}
    tally = row.tally
    return dict(+tally.counts), tally.seconds, dict(+tally.steps)


def compare(cameras: list[Camera], hours: list[datetime]) -> None:
    for camera in cameras:
        for hour in hours:
            counts, seconds, steps = counted_directly(camera.pk, hour)
            mine = added_up(camera.pk, hour)
            assert (mine[0], mine[2]) == (counts, steps)
            assert mine[1] == pytest.approx(seconds)


@pytest.mark.parametrize("seed", range(4))
def test_hours_are_what_a_direct_count_says_whatever_happens_to_frames(seed: int) -> None:
    chance = random.Random(seed)
    cameras = [make_camera(), make_camera()]
    hours = [NOON - HOUR, NOON, NOON + HOUR]
    waiting: list[FrameResult] = []
    for _number in range(40):
        at = NOON + timedelta(minutes=chance.uniform(-59, 59))
        row = store(chance.choice(cameras), at=at, groups=chance.randint(0, 3), left_out=chance.randint(0, 2))
        waiting += [row] if row.status == AssessmentStatus.PENDING else []
        if chance.random() < 0.4:
            ended, waiting = waiting, []
            for each in ended:
                answer(each, chance)
            close_frames([each.pk for each in ended], now=LATER)
        if chance.random() < 0.2:
            again = dead_letters.send_again(dead_letters.Chosen(), now=LATER, patience=PATIENCE)
            reopened = FrameResult.objects.filter(assessments__in=again).distinct()
            waiting += list(reopened)
    compare(cameras, hours)
    for hour in hours:
        recount_hour(hour)
    compare(cameras, hours)


def test_frame_stored_twice_counts_once() -> None:
    camera = make_camera()
    frame = make_frame(camera.pk, groups=0)
    for _ in range(2):
        record_frame(frame, Gated(()), now=NOON, patience=PATIENCE)
    assert added_up(camera.pk, NOON)[0] == {Count.FRAMES_SKIPPED: 1}


def test_hours_of_all_cameras_are_added_up_once_they_are_over_and_again_after_a_change() -> None:
    cameras = [make_camera(), make_camera()]
    for camera in cameras:
        store(camera, at=NOON, groups=0)
        line = CountingLine.objects.create(camera=camera, name="gate", ends=[[0, 0], [1, 1]])
        LineCount.objects.create(line=line, hour=NOON, object_class="car", direction="forward", count=3)
    assert add_up_hours(now=NOON + HOUR) == 0
    before = hours_of_fleet(NOON, NOON + HOUR)
    assert add_up_hours(now=NOON + 2 * HOUR) == 1
    assert hours_of_fleet(NOON, NOON + HOUR) == before
    assert (before[0].tally.counts[Count.FRAMES_SKIPPED], dict(before[0].crossings)) == (2, {(12, "car", "forward"): 6})
    store(cameras[0], at=NOON, groups=0)
    assert FleetHour.objects.count() == 0
    assert hours_of_fleet(NOON, NOON + HOUR)[0].tally.counts[Count.FRAMES_SKIPPED] == 3
    assert add_up_hours(now=NOON + 2 * HOUR) == 1
    assert add_up_hours(now=NOON + 2 * HOUR) == 0


def test_all_places_are_added_to_before_any_sum_is_taken_away_and_each_sum_once() -> None:
    """So those who close and those who send again never wait for each other in a circle."""
    rows = [store(make_camera(), at=NOON + hours * HOUR, groups=0) for hours in (1, 0, 0)]
    assert add_up_hours(now=NOON + 3 * HOUR) == 2
    add_up_days(now=NOON + timedelta(days=2))
    with CaptureQueriesContext(connection) as asked:
        count_frames(rows)
    words = (each["sql"].split() for each in asked if not each["sql"].startswith("SELECT"))
    written = [next(word.strip('"') for word in each if "assessment_" in word) for each in words]
    tables = [CameraHour] * 3 + [FleetHour] * 2 + [FleetDay] * 2
    assert written == [each._meta.db_table for each in tables]


def test_hours_of_one_camera_and_the_sums_of_each() -> None:
    first, second = make_camera(), make_camera()
    for at in (NOON, NOON, NOON + HOUR):
        store(first, at=at, groups=0)
    assert [(each.at, each.tally.counts.total()) for each in hours_of_camera(first.pk, NOON, LATER)] == [
        (NOON, 2),
        (NOON + HOUR, 1),
    ]
    known = known_days(NOON, NOON + HOUR)
    sums = sums_by_camera(Camera.objects.all(), known, known.gaps)
    assert {camera: +each.tally.counts for camera, each in sums.items()} == {
        first.pk: Counter({Count.FRAMES_SKIPPED: 2})
    }
    assert hours_of_camera(second.pk, NOON, LATER) == []


def test_further_frame_takes_one_statement_for_its_hour(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    row = store(make_camera(), at=NOON, groups=0)
    with django_assert_num_queries(1):
        count_unasked(row)


def test_hours_are_forgotten_by_their_age() -> None:
    camera = make_camera()
    for at in (NOON, NOON + HOUR):
        store(camera, at=at, groups=0)
    add_up_hours(now=LATER)
    assert forget_hours(before=NOON + HOUR) == 2
    assert list(CameraHour.objects.values_list("hour", flat=True)) == [NOON + HOUR]


def test_camera_that_is_gone_takes_its_hours_with_it() -> None:
    camera = make_camera()
    store(camera, at=NOON, groups=0)
    camera.delete()
    assert CameraHour.objects.count() == 0


def test_command_counts_the_hours_whose_frames_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    camera, now = make_camera(), utc_now()
    for ago in (timedelta(), timedelta(hours=3), timedelta(hours=30)):
        store(camera, at=now - ago, groups=0)
    CameraHour.objects.all().delete()
    call_command("count_hours", hours=4)
    assert capsys.readouterr().out.count("counted ") == 5
    assert CameraHour.objects.count() == 2
    call_command("count_hours")
    assert CameraHour.objects.count() == 2
