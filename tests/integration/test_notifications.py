"""Notifications: which alerts they are of, that none is lost or told twice, how each way sends them, and the admin."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.files.base import ContentFile
from django.db import transaction

from assessment.alerts import AlertChange, acknowledge
from assessment.models import Alert, AlertKind, AlertState, Assessment, Evidence, EvidenceKind
from assessment.risk import AssessmentStatus, RiskLevel, RiskType
from cameras.models import CHECK_CAMERAS, Camera, CameraGroup
from cameras.removal import remove
from tests.back_office import BackOffice, standing_in
from tests.factories import make_camera, record
from tests.integration.test_pages import browser, make_user, raise_alert
from trafficmon.accounts.models import AuditEntry
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.notifications import outbox
from trafficmon.notifications.channels import Parcel, UnableToSend, send, webhook
from trafficmon.notifications.content import compose
from trafficmon.notifications.models import Delivery, Destination, Message, Notice, Rule
from trafficmon.settings.environment import Environment
from workers import closing, upkeep
from workers.queues import Queue
from workers.tasks import send_outbound, send_wake_up

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]
JPEG = b"\xff\xd8picture"


@pytest.fixture(autouse=True)
def own_settings(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.EMAIL_HOST = "mail.example.org"
    told = {"notification_networks": "127.0.0.0/8", "public_url": "https://ops.example.org/"}
    settings.ENVIRONMENT = Environment.model_validate(told)


@pytest.fixture
def receiver() -> Iterator[BackOffice]:
    with standing_in() as receiver:
        yield receiver


def mailbox(name: str = "Desk") -> Destination:
    return Destination.objects.create(name=name, kind="email", address=f"{name.lower()}@example.org")


def rule_to(*destinations: Destination, **fields: Any) -> Rule:
    """One that tells at once of every level, unless it is told otherwise."""
    terms = {"merge_seconds": 0, "camera_cooldown_seconds": 0, "overall_cooldown_seconds": 0}
    fields = {"name": f"Rule {Rule.objects.count()}", "levels": ["low", "medium", "high"], **terms, **fields}
    rule = Rule.objects.create(**fields)
    rule.destinations.set(destinations)
    return rule


def opened(camera: Camera | None = None, *, level: RiskLevel = RiskLevel.HIGH, change: str = "opened") -> Alert:
    alert = raise_alert(camera or make_camera(), level=level, after_seconds=Alert.objects.count())
    outbox.note([AlertChange(alert.pk, change, level)], now=utc_now())
    return alert


def tell(after: timedelta = timedelta(0)) -> list[str]:
    """Gather and deliver, so long from now; the titles that were told."""
    now = utc_now() + after
    titles = [each.title for each in outbox.gather(now=now)]
    outbox.deliver(now=now + timedelta(seconds=1))
    return titles


def test_alert_is_told_once_to_each_destination() -> None:
    rule_to(mailbox("Desk"), mailbox("Night"))
    alert = opened(make_camera(name="Bridge"))
    assert [tell(), tell()] == [["high: Bridge, running a red light"], []]
    assert sorted(each.to for each in mail.outbox) == [["desk@example.org"], ["night@example.org"]]
    assert mail.outbox[0].body.endswith(
        f"Bridge: high, running a red light. It passed at red. https://ops.example.org/alerts/{alert.pk}/"
    )


def test_notice_is_written_with_its_alert_or_not_at_all() -> None:
    rule_to(mailbox())

    @transaction.atomic
    def die() -> None:
        opened()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        die()
    assert (Alert.objects.count(), Notice.objects.count()) == (0, 0)


def test_same_change_noted_twice_is_told_once() -> None:
    rule_to(mailbox())
    alert = opened()
    outbox.note([AlertChange(alert.pk, "opened", RiskLevel.HIGH)], now=utc_now())
    assert (len(tell()), len(mail.outbox)) == (1, 1)


@pytest.mark.parametrize(
    ("change", "level", "told"),
    [
        ("opened", RiskLevel.HIGH, 1),
        ("escalated", RiskLevel.HIGH, 1),
        ("updated", RiskLevel.HIGH, 0),
        ("closed", RiskLevel.HIGH, 0),
        ("opened", RiskLevel.MEDIUM, 0),
    ],
)
def test_rule_tells_of_its_levels_when_they_are_new(change: str, level: RiskLevel, told: int) -> None:
    rule_to(mailbox(), levels=["high"])
    opened(level=level, change=change)
    assert len(tell()) == told


def test_rule_tells_of_its_groups_only_and_not_when_it_is_switched_off() -> None:
    north = CameraGroup.objects.create(name="North")
    rule_to(mailbox()).groups.set([north])
    off = rule_to(mailbox("Off"))
    opened()
    Rule.objects.filter(pk=off.pk).update(enabled=False)
    opened(make_camera(name="Bridge", group=north))
    assert tell() == ["high: Bridge, running a red light"]


def test_nobody_is_told_of_alerts_whose_camera_was_removed_meanwhile() -> None:
    rule = rule_to(mailbox(), escalate_minutes=5)
    rule.escalate_to.set([mailbox("Chief")])
    camera = make_camera(name="Bridge")
    opened(camera)
    assert tell() == ["high: Bridge, running a red light"]
    opened(camera)
    remove(Camera.objects.filter(pk=camera.pk), now=utc_now())
    assert (tell(), tell(timedelta(minutes=10))) == ([], [])


def test_nobody_is_told_of_what_the_end_to_end_check_makes_up() -> None:
    rule_to(mailbox())
    opened(make_camera(name=f"{CHECK_CAMERAS} 1"))
    assert (tell(), Notice.objects.count()) == ([], 0)


def lose(camera: Camera) -> Alert:
    now = utc_now()
    alert = Alert.objects.create(
        kind=AlertKind.CAMERA_LOST,
        camera=camera,
        risk_level=RiskLevel.LOW,
        risk_type=RiskType.OTHER,
        opened_at=now,
        last_seen_at=now,
    )
    outbox.note([AlertChange(alert.pk, "opened", RiskLevel.LOW)], now=now)
    return alert


def test_lost_camera_is_told_where_the_rule_says_so_unless_it_is_back() -> None:
    rule_to(mailbox(), levels=["low"])
    rule_to(mailbox("Service"), levels=[], camera_lost=True)
    lose(make_camera(name="Bridge"))
    back = lose(make_camera())
    Alert.objects.filter(pk=back.pk).update(state=AlertState.CLOSED, closed_at=utc_now())
    assert tell() == ["low: Bridge, camera lost"]
    assert [each.to for each in mail.outbox] == [["service@example.org"]]


def test_several_are_told_in_one_message_gravest_first() -> None:
    rule_to(mailbox(), merge_seconds=60)
    for level in (RiskLevel.LOW, RiskLevel.HIGH):
        opened(level=level)
    assert tell() == []
    assert tell(timedelta(seconds=61)) == ["high: 2 alerts at 2 cameras"]
    [message] = Message.objects.all()
    assert [each["riskLevel"] for each in message.alerts] == ["high", "low"]


def test_camera_is_told_of_again_after_its_cooldown() -> None:
    rule_to(mailbox(), camera_cooldown_seconds=300)
    camera = make_camera()
    opened(camera)
    assert len(tell()) == 1
    opened(camera)
    assert [len(tell(timedelta(seconds=after))) for after in (1, 200, 301)] == [0, 0, 1]


def test_unacknowledged_alert_is_told_to_others() -> None:
    rule = rule_to(mailbox(), escalate_minutes=5)
    rule.escalate_to.set([mailbox("Chief")])
    seen, unseen = opened(), opened(make_camera(name="Bridge"))
    tell()
    acknowledge(seen.pk, by=make_user(), now=utc_now())
    mail.outbox.clear()
    titles = [tell(timedelta(minutes=minutes)) for minutes in (4, 5, 6)]
    assert titles == [[], ["Nobody has acknowledged: high: Bridge, running a red light"], []]
    assert [each.to for each in mail.outbox] == [["chief@example.org"]]
    assert Message.objects.get(escalation=True).alerts[0]["alertId"] == unseen.pk


def test_what_is_held_back_however_much_keeps_nothing_that_is_due_from_being_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MOST_AT_ONCE", 2)
    rule = rule_to(mailbox(), camera_cooldown_seconds=3600, escalate_minutes=60)
    rule.escalate_to.set([mailbox("Chief")])
    dull = make_camera(name="Dull")
    for _ in range(4):
        opened(dull, level=RiskLevel.LOW)
        tell()
    assert (Message.objects.count(), Notice.objects.filter(message=None).count()) == (1, 7)
    opened(make_camera(name="Bridge"))
    assert (tell(), outbox.is_due(utc_now())) == (["high: Bridge, running a red light"], False)


def test_rule_without_an_enabled_destination_keeps_its_notices_until_it_has_one() -> None:
    desk = mailbox()
    rule_to(desk, escalate_minutes=1)
    Destination.objects.update(enabled=False)
    opened(make_camera(name="Bridge"))
    assert (tell(), tell(timedelta(minutes=2)), Message.objects.count()) == ([], [], 0)
    assert not outbox.is_due(utc_now() + timedelta(minutes=3))
    Destination.objects.update(enabled=True)
    assert tell(timedelta(minutes=8)) == ["high: Bridge, running a red light"]
    assert [each.to for each in mail.outbox] == [["desk@example.org"]]
    assert outbox.forget_messages(before=utc_now() + timedelta(days=1)) == 2


def test_notice_that_another_worker_tells_meanwhile_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rule_to(mailbox())
    opened()

    def slowly(rule: Rule, notices: Any, *, now: Any) -> Message:
        message = compose(rule, notices, now=now)
        message.save()
        Notice.objects.update(message=message)
        return compose(rule, notices, now=now)

    monkeypatch.setattr(outbox, "compose", slowly)
    assert outbox.gather(now=utc_now()) == []
    assert not Delivery.objects.exists()


def test_two_workers_send_a_delivery_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rule_to(mailbox())
    opened()
    outbox.gather(now=utc_now())
    sent: list[int] = []

    def slowly(*args: Any, **named: Any) -> None:
        sent.append(outbox.deliver(now=utc_now()))
        send(*args, **named)

    monkeypatch.setattr(outbox, "send", slowly)
    assert (outbox.deliver(now=utc_now()), sent, len(mail.outbox)) == (1, [0], 1)


def test_delivery_of_a_worker_that_died_is_sent_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    rule_to(mailbox())
    opened()
    outbox.gather(now=utc_now())

    def die(*_args: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "send", die)
        with pytest.raises(KeyboardInterrupt):
            outbox.deliver(now=utc_now())
    assert [outbox.deliver(now=utc_now() + after) for after in (timedelta(0), outbox.LEASE)] == [0, 1]


def webhook_at(receiver: BackOffice, **fields: Any) -> Destination:
    named = {"name": "Hook", "kind": "webhook", "address": f"{receiver.url}/hook?a=1", "secret": "hush", **fields}
    return Destination.objects.create(**named)


def test_webhook_is_signed_and_brings_the_picture(receiver: BackOffice) -> None:
    rule_to(webhook_at(receiver))
    alert = raise_alert(make_camera(name="Bridge"))
    evidence = Evidence(assessment=Assessment.objects.get(), kind=EvidenceKind.CROP)
    evidence.picture.save("crop.jpg", ContentFile(JPEG))
    outbox.note([AlertChange(alert.pk, "opened", RiskLevel.HIGH)], now=utc_now())
    tell()
    [sent] = receiver.received
    assert (sent.method, sent.path, sent.headers["host"]) == ("POST", "/api/hook?a=1", receiver.url[7:-4])
    number, moment = sent.headers["webhook-id"], sent.headers["webhook-timestamp"]
    digest = hmac.new(b"hush", f"{number}.{moment}.".encode() + sent.body, hashlib.sha256).digest()
    assert sent.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    told = sent.json()
    assert (told["type"], told["data"]["title"]) == ("alert", "high: Bridge, running a red light")
    assert told["data"]["alerts"][0]["alertId"] == alert.pk
    assert told["data"]["picture"] == f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"


def test_signature_is_that_of_the_standard() -> None:
    """The example that standardwebhooks.com's libraries are tested with."""
    secret, moment = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "1614265330"
    signature = webhook.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_refused_webhook_is_sent_again_the_same_after_a_growing_pause(receiver: BackOffice) -> None:
    rule_to(webhook_at(receiver))
    opened()
    receiver.status = 503
    tell()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.last_error) == (
        *("waiting", 1),
        "The receiver answered with HTTP 503.",
    )
    assert 7 <= (delivery.next_at - utc_now()).total_seconds() <= 12
    receiver.status = 200
    assert [outbox.deliver(now=utc_now() + timedelta(seconds=after)) for after in (0, 13)] == [0, 1]
    first, second = receiver.received
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


@pytest.mark.parametrize(("status", "attempts"), [(410, 1), (404, 12), (302, 12), (500, 12)])
def test_webhook_is_given_up_and_can_be_sent_again(receiver: BackOffice, status: int, attempts: int) -> None:
    rule_to(webhook_at(receiver))
    opened()
    receiver.status = status
    tell()
    for _ in range(15):
        outbox.deliver(now=utc_now() + timedelta(hours=2))
    assert (Delivery.objects.get().state, len(receiver.received)) == ("failed", attempts)
    receiver.status = 200
    assert outbox.send_again(Delivery.objects.all(), now=utc_now()) == 1
    assert (outbox.deliver(now=utc_now()), Delivery.objects.get().state) == (1, "sent")


def test_destination_that_fails_does_not_hold_up_another(receiver: BackOffice) -> None:
    receiver.status = 500
    rule_to(webhook_at(receiver), mailbox())
    opened()
    opened()
    tell()
    assert len(mail.outbox) == 1
    assert len(receiver.received) == 1
    assert Destination.objects.get(name="Hook").last_error == "The receiver answered with HTTP 500."


def test_address_that_became_forbidden_is_not_asked(receiver: BackOffice, settings: Any) -> None:
    rule_to(webhook_at(receiver))
    opened()
    settings.ENVIRONMENT = Environment.model_validate({})
    tell()
    assert receiver.received == []
    assert "ALGO_NOTIFICATION_NETWORKS" in Delivery.objects.get().last_error


def test_service_is_reached_by_apprise(receiver: BackOffice) -> None:
    place = receiver.url.removeprefix("http://").removesuffix("/api")
    receiver.posted = {"id": 1}
    rule_to(Destination.objects.create(name="Gotify", kind="service", address=f"gotify://{place}/Atoken1234567"))
    opened(make_camera(name="Bridge"))
    tell()
    [sent] = receiver.received
    assert (sent.path, sent.json()["title"]) == ("/message", "high: Bridge, running a red light")
    assert Delivery.objects.get().state == "sent"


@pytest.mark.parametrize("wish", ["", "?redirect=yes"])
def test_service_that_redirects_is_not_followed(receiver: BackOffice, wish: str) -> None:
    place = receiver.url.removeprefix("http://").removesuffix("/api")
    receiver.status, receiver.location = 307, f"http://{place}/elsewhere"
    rule_to(Destination.objects.create(name="Gotify", kind="service", address=f"gotify://{place}/Atoken1234567{wish}"))
    opened()
    tell()
    assert [each.path for each in receiver.received] == ["/message"]
    assert Delivery.objects.get().state == "waiting"


def test_mail_without_a_server_says_what_is_missing(settings: Any) -> None:
    settings.EMAIL_HOST = ""
    rule_to(mailbox())
    opened()
    tell()
    assert "ALGO_EMAIL_HOST" in Delivery.objects.get().last_error


def test_closing_a_frame_writes_the_notice_and_the_sweep_wakes_a_worker() -> None:
    rule_to(mailbox())
    row = record(make_camera(), captured_at=utc_now())
    done = {"status": AssessmentStatus.DONE, "risk_level": RiskLevel.HIGH, "risk_type": RiskType.WRONG_WAY}
    row.assessments.update(**done, ended_at=utc_now())
    closing.close([row.pk])
    assert Notice.objects.get().alert == Alert.objects.get()
    [wake_up] = upkeep.sweep_unfinished()
    assert (wake_up.queue, send_wake_up(wake_up), send_wake_up(wake_up)) == (Queue.OUTBOUND, True, False)
    send_outbound()
    assert len(mail.outbox) == 1
    assert upkeep.sweep_unfinished() == []


def test_closing_a_calm_frame_asks_for_no_rules(django_assert_num_queries: Any) -> None:
    rule_to(mailbox())
    with django_assert_num_queries(0):
        assert outbox.note([], now=utc_now()) == 0


def test_old_messages_are_forgotten() -> None:
    rule_to(mailbox())
    opened()
    tell()
    assert outbox.forget_messages(before=utc_now() + timedelta(days=1)) == 1
    assert Alert.objects.count() == 1


ADD = {"name": "Hook", "kind": "webhook", "address": "https://8.8.8.8/secret-path", "secret": "very hush"}


def test_admin_keeps_address_and_secret_to_itself() -> None:
    desk = browser(make_user(Role.ADMINISTRATOR))
    assert desk.post("/admin/notifications/destination/add/", ADD).status_code == 302
    destination = Destination.objects.get()
    page = f"/admin/notifications/destination/{destination.pk}/change/"
    said = desk.get(page).content.decode() + desk.get("/admin/notifications/destination/").content.decode()
    assert ("secret-path" in said, "very hush" in said) == (False, False)
    desk.post(page, {"name": "Renamed", "kind": "webhook", "address": "", "secret": "", "enabled": "on"})
    destination.refresh_from_db()
    assert (destination.name, destination.address, destination.secret) == (
        *("Renamed", ADD["address"]),
        ADD["secret"],
    )
    assert "very hush" not in json.dumps(list(AuditEntry.objects.values_list("detail", flat=True)))


@pytest.mark.parametrize(
    "change", [{"address": "http://169.254.169.254/"}, {"address": ""}, {"secret": ""}, {"kind": "email"}]
)
def test_admin_refuses_a_destination_that_cannot_be_one(change: dict[str, str]) -> None:
    answer = browser(make_user(Role.ADMINISTRATOR)).post("/admin/notifications/destination/add/", ADD | change)
    assert (answer.status_code, Destination.objects.count()) == (200, 0)


def test_test_button_says_whether_it_arrived(receiver: BackOffice) -> None:
    desk, destination = browser(make_user(Role.ADMINISTRATOR)), webhook_at(receiver)
    path = f"/admin/notifications/destination/{destination.pk}/test/"
    assert desk.get(path).status_code == 405
    assert "The test was sent." in desk.post(path, follow=True).content.decode()
    assert receiver.received[0].json()["type"] == "test"
    receiver.status = 404
    assert "The receiver answered with HTTP 404." in desk.post(path, follow=True).content.decode()
    assert AuditEntry.objects.filter(action="destination.test").count() == 2
    assert browser(make_user(Role.SUPERVISOR)).post(path).status_code == 302


def test_rule_is_made_in_the_admin() -> None:
    desk, place = browser(make_user(Role.ADMINISTRATOR)), mailbox()
    numbers = {"merge_seconds": 10, "camera_cooldown_seconds": 300, "overall_cooldown_seconds": 30, "digest_minutes": 0}
    form = {"name": "Night", "enabled": "on", "destinations": [place.pk], "levels": ["medium", "high"], **numbers}
    path = "/admin/notifications/rule/add/"
    assert desk.post(path, form | {"quiet_from": "22:00"}).status_code == 200
    assert desk.post(path, form | {"quiet_from": "22:00", "quiet_until": "06:00"}).status_code == 302
    assert Rule.objects.get().levels == ["medium", "high"]


def test_rule_that_would_tell_nobody_is_refused() -> None:
    desk, off, place = browser(make_user(Role.ADMINISTRATOR)), mailbox("Off"), mailbox()
    Destination.objects.filter(pk=off.pk).update(enabled=False)
    numbers = {"merge_seconds": 10, "camera_cooldown_seconds": 300, "overall_cooldown_seconds": 30, "digest_minutes": 0}
    form = {"name": "Night", "enabled": "on", "destinations": [place.pk], "escalate_minutes": 5, **numbers}
    path = "/admin/notifications/rule/add/"
    assert "this would be told to nobody" in desk.post(path, form).content.decode()
    assert desk.post(path, form | {"escalate_to": [off.pk]}).status_code == 200
    assert desk.post(path, form | {"destinations": [off.pk], "escalate_minutes": ""}).status_code == 200
    assert desk.post(path, form | {"escalate_to": [off.pk, place.pk]}).status_code == 302


@pytest.mark.parametrize("messages", [1, 3])
def test_lists_in_the_admin_take_the_same_queries_however_many(messages: int, django_assert_num_queries: Any) -> None:
    rule_to(mailbox())
    for _ in range(messages):
        opened()
        tell()
    desk = browser(make_user(Role.ADMINISTRATOR))
    for name, queries in (("message", 5), ("delivery", 7)):
        with django_assert_num_queries(queries):
            desk.get(f"/admin/notifications/{name}/")


def test_what_cannot_be_sent_never_tells_the_address() -> None:
    nowhere = Destination(name="x", kind="webhook", address="http://127.0.0.1:9/token", secret="s")
    with pytest.raises(UnableToSend) as refused:
        webhook.send(nowhere, outbox_parcel())
    assert "127.0.0.1" not in str(refused.value)


def outbox_parcel() -> Any:
    return Parcel("n", Message(created_at=utc_now(), title="t", text="t"))
