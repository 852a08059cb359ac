"""Exported events: written with what they tell of, delivered in order by camera, none lost, each under one id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client import REGISTRY

from assessment.alerts import AlertChange
from assessment.models import Alert, Assessment, DeadLetter, FrameResult
from assessment.risk import RiskLevel
from cameras.models import CHECK_CAMERAS, Camera
from tests.factories import NOON, make_camera, make_frame, record
from tests.integration.test_pages import browser, make_user, raise_alert
from trafficmon.accounts.roles import Role
from trafficmon.core.clock import utc_now
from trafficmon.exports import deliver, outbox
from trafficmon.exports.models import Event, EventState, Sink
from trafficmon.exports.payloads import read_event
from trafficmon.exports.sinks import Refusal, Sent, SinkUnavailable
from trafficmon.settings.environment import Environment
from workers import closing, pipeline, upkeep
from workers.gating import gate_frame
from workers.pipeline import WakeUp
from workers.queues import Queue
from workers.tasks import send_wake_up

pytestmark = [pytest.mark.integration, pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def exporting_to(**told: str) -> Environment:
    return Environment.model_validate(told)


class Receiver:
    """A sink that keeps what it is given, and does with it as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[int, str]] = []
        self.refusing: dict[int, Refusal] = {}
        self.is_away = False

    def __call__(self, events: Sequence[Event]) -> Sent:
        if self.is_away:
            return Sent(trouble="nobody there")
        taken = [each for each in events if each.pk not in self.refusing]
        self.got += [(each.camera_id, each.event_id) for each in taken]
        refused = {each.pk: self.refusing[each.pk] for each in events if each.pk in self.refusing}
        return Sent(frozenset(each.pk for each in taken), refused)

    def ids_of(self, camera_id: int) -> list[str]:
        return [event_id for camera, event_id in self.got if camera == camera_id]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(autouse=True)
def exporting(settings: Any) -> None:
    settings.ENVIRONMENT = exporting_to(export_kafka_servers="broker:9092")


def written(camera: Camera, count: int) -> list[Event]:
    """So many events of a camera."""
    first = Event.objects.filter(camera_id=camera.pk).count()
    rows = [
        Event(sink="kafka", event_id=f"{camera.pk}-{number}", topic="alerts", camera_id=camera.pk, body="{}")
        for number in range(first, first + count)
    ]
    for row in rows:
        row.created_at = utc_now()
    return Event.objects.bulk_create(rows)


def closed_frame(level: str = "high") -> FrameResult:
    row = record(make_camera())
    Assessment.objects.filter(frame_result=row).update(status="done", risk_level=level, risk_type="red_light")
    assert closing.close([row.pk]) == 1
    return row


def told(topic: str) -> list[Any]:
    """The `data` of all events of a topic, checked as a consumer would check them."""
    rows = Event.objects.filter(topic=topic).order_by("pk")
    return [read_event(each.body).as_dict()["data"] for each in rows]


def topics() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("topic", flat=True))


def test_detected_frame_is_told_with_its_questions_in_its_own_transaction() -> None:
    camera = make_camera()
    frame = make_frame(camera.pk, groups=2, captured_at=utc_now())
    row = pipeline._record(frame, gate_frame(camera, frame))
    assert row is not None
    assert topics()[0] == "detection-results"
    [shown] = told("detection-results")
    assert (shown["frameKey"], len(shown["trafficGroups"])) == (row.frame_key, 2)
    asked = Assessment.objects.filter(frame_result=row, judged_by="model").count()
    assert topics().count("assessment-tasks") == asked
    assert pipeline._record(frame, gate_frame(camera, frame)) is None
    assert topics().count("detection-results") == 1


def test_events_are_gone_where_their_transaction_is() -> None:
    @transaction.atomic
    def die() -> None:
        outbox.note_detected(record(make_camera()), now=utc_now())
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        die()
    assert Event.objects.count() == 0


def test_closed_frame_is_told_with_its_alert() -> None:
    row = closed_frame()
    assert topics() == ["risk-assessment-results", "alerts"]
    [verdict], [alert] = told("risk-assessment-results"), told("alerts")
    assert (verdict["maxRiskLevel"], verdict["assessmentStatus"]) == ("high", "done")
    assert (alert["change"], alert["cameraId"]) == ("opened", row.camera_id)


def test_question_that_was_given_up_is_told_once_each_time() -> None:
    row = record(make_camera(), groups=2)
    Assessment.objects.filter(frame_result=row).update(status="failed", reason="provider_error")
    for question in Assessment.objects.filter(frame_result=row):
        DeadLetter.objects.create(assessment=question, reason="provider_error", attempts=3, died_at=NOON)
    closing.close([row.pk])
    first = DeadLetter.objects.get(assessment__group_index=1)
    FrameResult.objects.filter(pk=row.pk).update(status="pending", closed_at=None)
    DeadLetter.objects.filter(pk=first.pk).update(died_at=NOON + timedelta(hours=1))
    closing.close([row.pk])
    assert topics().count("dead-letters") == 3
    assert [each["groupIndex"] for each in told("dead-letters")] == [1, 2, 1]


def test_acknowledged_alert_is_told(client: Client) -> None:
    alert = raise_alert(make_camera(), level=RiskLevel.HIGH, after_seconds=0)
    answer = browser(make_user(Role.ADMINISTRATOR)).post(f"/api/alerts/{alert.pk}/acknowledge")
    assert answer.status_code == 200
    [standing] = told("alerts")
    assert (standing["change"], standing["state"]) == ("acknowledged", "acknowledged")


def test_alert_that_time_closes_is_told() -> None:
    alert = raise_alert(make_camera(), level=RiskLevel.HIGH, after_seconds=0)
    upkeep.sweep_unfinished()
    assert Alert.objects.get(pk=alert.pk).state == "closed"
    assert [each["change"] for each in told("alerts")] == ["closed"]


def test_nothing_is_written_or_asked_where_no_sink_is_configured(settings: Any) -> None:
    settings.ENVIRONMENT = exporting_to()
    row = record(make_camera())
    with CaptureQueriesContext(connection) as queries:
        outbox.note_detected(row, now=utc_now())
        outbox.note_closed([row], now=utc_now())
        outbox.note_alerts([AlertChange(1, "opened", RiskLevel.HIGH)], now=utc_now())
        assert deliver.due_sinks(utc_now()) == []
    assert len(queries) == 0


def test_only_what_is_asked_for_is_written(settings: Any) -> None:
    settings.ENVIRONMENT = exporting_to(export_kafka_servers="broker:9092", export_topics="alerts")
    closed_frame()
    assert topics() == ["alerts"]


def test_nothing_is_told_of_the_end_to_end_check() -> None:
    outbox.note_detected(record(make_camera(name=f"{CHECK_CAMERAS} 1")), now=utc_now())
    assert Event.objects.count() == 0


def test_event_goes_to_each_sink_under_the_same_id(settings: Any) -> None:
    settings.ENVIRONMENT = exporting_to(export_kafka_servers="broker:9092", export_mqtt_url="mqtt://broker")
    outbox.note_closed([closed_row()], now=utc_now())
    rows = Event.objects.filter(topic="risk-assessment-results")
    assert sorted(rows.values_list("sink", flat=True)) == ["kafka", "mqtt"]
    assert rows.values("event_id").distinct().count() == 1


def closed_row() -> FrameResult:
    row = record(make_camera())
    row.closed_at = NOON
    return row


def test_events_arrive_in_order_by_camera(receiver: Receiver) -> None:
    one, other = make_camera(), make_camera()
    first = [*written(one, 3), *written(other, 1), *written(one, 2)]
    assert deliver.deliver("kafka", send=receiver) == 6
    assert receiver.ids_of(one.pk) == [each.event_id for each in first if each.camera_id == one.pk]
    assert deliver.deliver("kafka", send=receiver) == 0
    assert set(Event.objects.values_list("state", flat=True)) == {EventState.DELIVERED}


def test_refused_event_holds_back_its_camera_alone_and_is_tried_again(receiver: Receiver) -> None:
    one, other = make_camera(), make_camera()
    bad, *rest = written(one, 3)
    written(other, 2)
    receiver.refusing = {bad.pk: Refusal("not now")}
    assert deliver.deliver("kafka", send=receiver) == 2
    assert (receiver.ids_of(one.pk), len(receiver.ids_of(other.pk))) == ([], 2)
    assert Event.objects.get(pk=bad.pk).attempts == 1
    receiver.refusing = {}
    assert deliver.deliver("kafka", send=receiver) == 0  # its pause is not over
    Event.objects.filter(pk=bad.pk).update(next_at=utc_now())
    assert deliver.deliver("kafka", send=receiver) == 3
    assert receiver.ids_of(one.pk) == [each.event_id for each in (bad, *rest)]


def test_poison_is_parked_shown_and_sent_again(receiver: Receiver) -> None:
    bad, good = written(make_camera(), 2)
    receiver.refusing = {bad.pk: Refusal("too large", for_good=True)}
    deliver.deliver("kafka", send=receiver)
    assert deliver.deliver("kafka", send=receiver) + len(receiver.got) == 1
    assert Event.objects.get(pk=bad.pk).state == EventState.PARKED
    admin = browser(make_user(Role.ADMINISTRATOR))
    assert "too large" in admin.get("/admin/exports/event/?state=parked").content.decode()
    receiver.refusing = {}
    admin.post("/admin/exports/event/", {"action": "again", "_selected_action": [bad.pk]})
    assert deliver.deliver("kafka", send=receiver) == 1
    assert [event_id for _camera, event_id in receiver.got] == [good.event_id, bad.event_id]


def test_event_that_is_refused_again_and_again_is_parked_in_the_end(receiver: Receiver) -> None:
    [bad] = written(make_camera(), 1)
    receiver.refusing = {bad.pk: Refusal("HTTP 500")}
    for _attempt in range(deliver.MOST_ATTEMPTS):
        Event.objects.filter(pk=bad.pk).update(next_at=None)
        deliver.deliver("kafka", send=receiver)
    bad.refresh_from_db()
    assert (bad.state, bad.attempts, bad.last_error) == (EventState.PARKED, 12, "HTTP 500")


def test_sink_that_is_away_parks_nothing_and_is_left_alone_for_a_while(receiver: Receiver) -> None:
    written(make_camera(), 3)
    receiver.is_away = True
    for _attempt in range(30):
        Sink.objects.update(next_at=None)
        assert deliver.deliver("kafka", send=receiver) == 0
    sink = Sink.objects.get()
    assert (sink.failures, sink.last_error, sink.lease_token) == (30, "nobody there", "")
    assert set(Event.objects.values_list("state", "attempts")) == {("waiting", 0)}
    assert deliver.due_sinks(utc_now()) == []
    receiver.is_away = False
    Sink.objects.update(next_at=utc_now())
    assert deliver.deliver("kafka", send=receiver) == 3
    assert Sink.objects.get().failures == 0


def test_what_a_deliverer_sent_before_it_died_comes_again_under_the_same_id(receiver: Receiver) -> None:
    class Died(Exception):
        pass

    left: dict[str, Any] = {}

    def die_after_sending(events: Sequence[Event]) -> Sent:
        receiver(events)
        left.update(Sink.objects.values("lease_token", "lease_until").get())
        raise Died

    camera = make_camera()
    rows = written(camera, 3)
    with pytest.raises(Died):
        deliver.deliver("kafka", send=die_after_sending)
    Sink.objects.update(**left)  # who is killed gives no lease back
    assert deliver.deliver("kafka", send=receiver) == 0
    Sink.objects.update(lease_until=utc_now())
    assert deliver.deliver("kafka", send=receiver) == 3
    first = rows[0].event_id
    assert receiver.ids_of(camera.pk) == [first, *(each.event_id for each in rows)]
    assert list(dict.fromkeys(receiver.ids_of(camera.pk))) == [each.event_id for each in rows]


def test_one_worker_delivers_to_a_sink_at_a_time(receiver: Receiver) -> None:
    written(make_camera(), 1)
    Sink.objects.create(name="kafka", lease_token="another", lease_until=utc_now() + timedelta(minutes=1))
    assert deliver.due_sinks(utc_now()) == []
    assert deliver.deliver("kafka", send=receiver) == 0
    Sink.objects.update(lease_until=utc_now() - timedelta(seconds=1))
    assert deliver.due_sinks(utc_now()) == ["kafka"]
    assert deliver.deliver("kafka", send=receiver) == 1


def test_waves_are_no_larger_than_their_sink_can_take_within_a_lease(receiver: Receiver) -> None:
    rows = [event for _ in range(7) for event in written(make_camera(), 2)]
    waves = deliver._waves(rows, most=5)
    assert [len(each) for each in waves] == [5, 2, 5, 2]
    assert [len({event.camera_id for event in wave}) for wave in waves] == [5, 2, 5, 2]


def test_sink_that_says_nothing_of_an_event_is_taken_for_unavailable() -> None:
    written(make_camera(), 1)
    assert deliver.deliver("kafka", send=lambda _events: Sent()) == 0
    assert Sink.objects.get().failures == 1


def test_deliverer_whose_lease_is_anothers_stops(receiver: Receiver) -> None:
    def lose(events: Sequence[Event]) -> Sent:
        Sink.objects.update(lease_token="another")
        return receiver(events)

    written(make_camera(), 2)
    assert deliver.deliver("kafka", send=lose) == 0
    assert len(receiver.got) == 1
    assert Sink.objects.get().lease_token == "another"


def test_sink_that_cannot_be_made_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_sink: str) -> None:
        raise SinkUnavailable("no such mechanism")

    monkeypatch.setattr(deliver, "sender", fail)
    written(make_camera(), 1)
    assert deliver.deliver("kafka") == 0
    assert Sink.objects.get().last_error == "no such mechanism"


def test_sweep_wakes_a_worker_for_a_sink_that_has_something_to_do(redis_client: redis.Redis) -> None:
    written(make_camera(), 1)
    assert WakeUp(Queue.EXPORTS, 0) in upkeep.sweep_unfinished()
    assert send_wake_up(WakeUp(Queue.EXPORTS, 0))
    [message] = redis_client.lrange("exports", 0, -1)
    assert b"export_events" in message


def test_what_waits_and_what_is_parked_is_measured(client: Client) -> None:
    written(make_camera(), 2)
    Event.objects.update(created_at=utc_now() - timedelta(seconds=60))
    Event.objects.filter(pk=Event.objects.earliest("pk").pk).update(state=EventState.PARKED)
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'export_waiting{sink="kafka"} 1.0' in lines
    assert 'export_parked{sink="kafka"} 1.0' in lines
    [age] = [float(line.split()[1]) for line in lines if line.startswith("export_oldest_seconds{")]
    assert 60 <= age < 600


def test_delivered_events_are_forgotten_and_what_waited_too_long_is_dropped() -> None:
    delivered, parked, waiting, young = written(make_camera(), 4)
    old = utc_now() - timedelta(hours=25)
    Event.objects.filter(pk=delivered.pk).update(state=EventState.DELIVERED, ended_at=old)
    Event.objects.filter(pk=parked.pk).update(state=EventState.PARKED, ended_at=old)
    Event.objects.filter(pk=waiting.pk).update(created_at=old)
    dropped = {"sink": "kafka", "outcome": "dropped"}
    before = REGISTRY.get_sample_value("export_events_total", dropped) or 0.0
    assert deliver.forget_events(now=utc_now()) == 2
    assert REGISTRY.get_sample_value("export_events_total", dropped) == before + 1
    assert set(Event.objects.values_list("pk", flat=True)) == {parked.pk, young.pk}


def test_event_is_spelled_as_the_protocol_says() -> None:
    closed_frame()
    spelled = json.loads(Event.objects.filter(topic="alerts").get().body)
    assert sorted(spelled) == ["cameraId", "data", "id", "occurredAt", "schemaVersion", "type"]
    assert (spelled["type"], spelled["schemaVersion"], spelled["data"]["change"]) == ("alerts", 1, "opened")
    assert spelled["id"] == Event.objects.get(topic="alerts").event_id
