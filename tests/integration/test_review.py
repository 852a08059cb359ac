"""What people do with alerts: assigned, commented, judged, and the timeline that tells of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from assessment.alerts import acknowledge, apply_verdicts, close_unseen, forget_alerts
from assessment.models import Alert, AlertEvent, AlertJudgement, AlertKind, Truth
from assessment.review import (
    Opinion,
    UnfitAssignee,
    UnfitJudgement,
    assign,
    comment,
    forget_judgements,
    judge_alert,
    usual_opinion,
)
from assessment.risk import RiskLevel
from tests.factories import NOON, make_camera
from tests.integration.test_alerts import HIGH, MEDIUM, at, judged
from tests.integration.test_pages import camera_of, make_user, raise_alert
from trafficmon.accounts.models import User
from trafficmon.accounts.roles import Role

pytestmark = pytest.mark.django_db


def kinds_of(alert: Alert) -> list[str]:
    return list(alert.events.values_list("kind", flat=True))


def test_timeline_tells_all_that_happened_to_an_alert() -> None:
    camera, operator, chief = make_camera(), make_user(Role.SUPERVISOR), make_user(Role.ADMINISTRATOR)
    apply_verdicts(judged(camera, MEDIUM))
    apply_verdicts(judged(camera, MEDIUM, after_seconds=4))
    apply_verdicts(judged(camera, HIGH, after_seconds=8))
    alert = Alert.objects.get()
    assert acknowledge(alert.pk, by=operator, now=at(9))
    assert assign(alert, chief, by=operator, now=at(10))
    comment(alert, "A tanker.", by=chief, now=at(11))
    assert judge_alert(alert, Opinion(Truth.TRUE, HIGH), by=chief, now=at(12))
    close_unseen(now=at(9999))
    assert kinds_of(alert) == [
        *("opened", "seen", "escalated", "acknowledged", "assigned", "commented", "judged", "closed")
    ]
    assert list(alert.events.values_list("by_name", "risk_level", "words")) == [
        ("", "medium", ""),
        ("", "medium", ""),
        ("", "high", ""),
        ("desk supervisor", "", ""),
        ("desk supervisor", "", "desk administrator"),
        ("desk administrator", "", "A tanker."),
        ("desk administrator", "high", "true"),
        ("", "", ""),
    ]


def test_what_changes_nothing_is_not_told() -> None:
    user = make_user()
    alert = raise_alert(camera_of(user))
    assert [acknowledge(alert.pk, by=user, now=NOON) for _ in range(2)] == [True, False]
    assert [assign(alert, user, by=user, now=NOON) for _ in range(2)] == [True, False]
    assert [assign(alert, None, by=user, now=NOON) for _ in range(2)] == [True, False]
    assert [judge_alert(alert, Opinion(Truth.UNSURE), by=user, now=NOON) for _ in range(2)] == [True, False]
    assert kinds_of(alert) == ["acknowledged", "assigned", "assigned", "judged"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_alert_is_not_given_to_who_cannot_deal_with_it(role: Role) -> None:
    """A viewer may not, and an operator of other streets does not see it."""
    user = make_user(Role.SUPERVISOR)
    alert = raise_alert(make_camera())
    other = User.objects.create(username="other", role=role)
    with pytest.raises(UnfitAssignee):
        assign(alert, other, by=user, now=NOON)
    assert alert.events.count() == 0


@pytest.mark.parametrize(
    ("truth", "level", "fits"),
    [
        (Truth.TRUE, RiskLevel.LOW, True),
        (Truth.TRUE, RiskLevel.HIGH, True),
        (Truth.TRUE, RiskLevel.NONE, False),
        (Truth.TRUE, None, False),
        (Truth.FALSE, RiskLevel.NONE, True),
        (Truth.FALSE, RiskLevel.HIGH, False),
        (Truth.FALSE, None, False),
        (Truth.UNSURE, None, True),
        (Truth.UNSURE, RiskLevel.HIGH, True),
    ],
)
def test_judgement_has_to_fit_together_and_the_database_agrees(
    truth: Truth, level: RiskLevel | None, *, fits: bool
) -> None:
    user = make_user(Role.SUPERVISOR)
    alert = raise_alert(make_camera())
    if fits:
        assert judge_alert(alert, Opinion(truth, level), by=user, now=NOON)
        return
    with pytest.raises(UnfitJudgement):
        judge_alert(alert, Opinion(truth, level), by=user, now=NOON)
    row = AlertJudgement(alert=alert, judge=user, truth=truth, right_level=level or "", judged_at=NOON)
    row.opened_at, row.risk_level, row.risk_type = NOON, "high", "other"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()


def test_person_has_one_judgement_of_an_alert_the_latest() -> None:
    first, second = make_user(Role.SUPERVISOR), make_user(Role.ADMINISTRATOR)
    alert = raise_alert(make_camera())
    for user, truth in ((first, Truth.TRUE), (first, Truth.FALSE), (second, Truth.UNSURE)):
        judge_alert(alert, usual_opinion(truth, alert), by=user, now=NOON)
    said = AlertJudgement.objects.order_by("judge").values_list("judge__username", "truth", "right_level")
    assert list(said) == [("desk supervisor", "false", "none"), ("desk administrator", "unsure", "")]


def make_judgement(alert: Alert, judge: User, *, minute: int, is_latest: bool = True) -> AlertJudgement:
    said = {"truth": Truth.TRUE, "right_level": HIGH, "opened_at": NOON, "risk_level": HIGH, "risk_type": "other"}
    return AlertJudgement.objects.create(
        alert=alert, judge=judge, judged_at=at(60 * minute), is_latest=is_latest, **said
    )


def test_alert_has_one_latest_judgement_in_the_database() -> None:
    first, second = make_user(Role.SUPERVISOR), make_user(Role.ADMINISTRATOR)
    alert = raise_alert(make_camera())
    make_judgement(alert, first, minute=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_judgement(alert, second, minute=2)
    make_judgement(alert, second, minute=2, is_latest=False)


@pytest.mark.django_db(transaction=True)
def test_alert_that_two_judge_at_once_counts_once() -> None:
    judges = [User.objects.create(username=f"judge {number}", role=Role.SUPERVISOR) for number in range(8)]
    alert = raise_alert(make_camera())
    start = threading.Barrier(len(judges))

    def judge(user: User) -> bool:
        start.wait()
        try:
            return judge_alert(alert, usual_opinion(Truth.TRUE, alert), by=user, now=NOON)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(judges)) as threads:
        assert all(threads.map(judge, judges))
    assert AlertJudgement.objects.filter(is_latest=True).count() == 1


def migrate_to(name: str) -> None:
    MigrationExecutor(connection).migrate([("assessment", name)])


@pytest.mark.django_db(transaction=True)
def test_doubles_of_before_are_mended_by_the_migration() -> None:
    [newest] = MigrationExecutor(connection).loader.graph.leaf_nodes("assessment")
    judges = [User.objects.create(username=f"judge {number}", role=Role.SUPERVISOR) for number in range(3)]
    alert = raise_alert(make_camera())
    migrate_to("0013_indexes")
    try:
        for judge, minute in zip(judges, (1, 3, 2), strict=True):
            make_judgement(alert, judge, minute=minute)
    finally:
        migrate_to(newest[1])
    assert AlertJudgement.objects.get(is_latest=True).judge == judges[1]


def test_lost_camera_is_not_judged() -> None:
    alert = raise_alert(make_camera(), kind=AlertKind.CAMERA_LOST)
    with pytest.raises(UnfitJudgement):
        judge_alert(alert, Opinion(Truth.TRUE, HIGH), by=make_user(), now=NOON)


def test_judgement_outlives_the_alert_and_the_person_with_what_was_judged() -> None:
    user, camera = make_user(Role.SUPERVISOR), make_camera()
    alert = raise_alert(camera, state="closed", closed_at=NOON)
    assert alert.assessment
    alert.assessment.prompt_version, alert.assessment.llm_model = "default-v3/en", "qwen-vl-plus"
    judge_alert(alert, usual_opinion(Truth.TRUE, alert), by=user, now=NOON)
    forget_alerts(before=NOON + timedelta(days=1))
    user.delete()
    assert AlertEvent.objects.count() == 0
    kept = AlertJudgement.objects.get()
    assert (kept.alert, kept.judge, kept.camera) == (None, None, camera)
    assert (kept.truth, kept.right_level, kept.risk_level, kept.prompt_version) == (
        *("true", "high", "high"),
        "default-v3/en",
    )


def test_judgements_are_forgotten_by_the_age_of_what_was_judged() -> None:
    user = make_user(Role.SUPERVISOR)
    alerts = [raise_alert(make_camera(), after_seconds=seconds) for seconds in (0, 60)]
    for alert in alerts:
        judge_alert(alert, usual_opinion(Truth.TRUE, alert), by=user, now=NOON)
    assert forget_judgements(before=at(30)) == 1
    assert AlertJudgement.objects.get().alert == alerts[1]
