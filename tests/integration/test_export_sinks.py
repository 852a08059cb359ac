"""The ways out against real brokers: librdkafka's own mock cluster, Mosquitto, a web server."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.back_office import BackOffice, standing_in
from tests.integration.test_exports import exporting_to
from tests.processes import wait_until
from trafficmon.core.clock import utc_now
from trafficmon.core.lifetime import end_with_parent
from trafficmon.exports import deliver
from trafficmon.exports.models import Event, EventState, Sink
from trafficmon.exports.sinks import SinkUnavailable
from workers.runtime import free_port

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def written(sink: str, *bodies: str) -> list[Event]:
    """Events of two cameras in turns."""
    rows = [
        Event(sink=sink, event_id=f"e-{number}", topic="alerts", camera_id=1 + number % 2, body=body)
        for number, body in enumerate(bodies)
    ]
    for row in rows:
        row.created_at = utc_now()
    return Event.objects.bulk_create(rows)


def states() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("state", flat=True))


def let_try_again() -> None:
    Sink.objects.update(next_at=None)


@pytest.fixture
def kafka(settings: Any) -> Iterator[str]:
    """The address of a cluster of one broker that a producer beside ours keeps up."""
    confluent = pytest.importorskip("confluent_kafka", reason="requirements/export.txt is not installed")
    from trafficmon.exports.sinks import kafka as sink

    cluster = confluent.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
    [broker] = cluster.list_topics(timeout=30).brokers.values()
    address = f"{broker.host}:{broker.port}"
    settings.ENVIRONMENT = exporting_to(export_kafka_servers=address, export_prefix="site.")
    sink._producer.cache_clear()
    yield address
    sink._producer.cache_clear()


def test_kafka_gets_each_event_with_key_and_id_in_order(kafka: str) -> None:
    from confluent_kafka import Consumer

    written("kafka", *(json.dumps({"number": number}) for number in range(6)))
    assert deliver.deliver("kafka") == 6
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "test", "auto.offset.reset": "earliest", "log_level": 0}
    )
    consumer.subscribe(["site.alerts"])
    got: list[Any] = []
    until = time.monotonic() + 60
    while len(got) < 6 and time.monotonic() < until:
        got += [each for each in consumer.consume(10, timeout=0.5) if not each.error()]
    consumer.close()
    by_camera = {key: [json.loads(each.value())["number"] for each in got if each.key() == key] for key in (b"1", b"2")}
    assert by_camera == {b"1": [0, 2, 4], b"2": [1, 3, 5]}
    assert sorted(dict(each.headers())["event-id"] for each in got) == [b"e-%d" % number for number in range(6)]


def test_kafka_that_is_away_is_waited_for(kafka: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from trafficmon.exports.sinks import kafka as sink

    written("kafka", "{}", "{}")
    settings.ENVIRONMENT = exporting_to(export_kafka_servers=f"127.0.0.1:{free_port()}")
    configuration = sink.configuration()
    monkeypatch.setattr(sink, "configuration", lambda: configuration | {"message.timeout.ms": 1000})
    assert deliver.deliver("kafka") == 0
    assert (states(), Sink.objects.get().failures) == (["waiting"] * 2, 1)
    monkeypatch.undo()
    settings.ENVIRONMENT = exporting_to(export_kafka_servers=kafka)
    let_try_again()
    assert deliver.deliver("kafka") == 2


def test_event_too_large_for_kafka_is_parked(kafka: str) -> None:
    written("kafka", "x" * 2_000_000, "{}")
    assert deliver.deliver("kafka") == 1
    assert states() == [EventState.PARKED, EventState.DELIVERED]


class Mosquitto:
    """A broker of a test's own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.configuration = folder / "mosquitto.conf"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        found = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.configuration.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 20000\npersistence false\n"
        )
        self.process = subprocess.Popen(
            [found, "-c", str(self.configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent,  # noqa: PLW1509  # one system call
        )
        wait_until(self.is_answering, 60)

    def is_answering(self) -> bool:
        import socket

        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def mosquitto(tmp_path: Path, settings: Any) -> Iterator[Mosquitto]:
    pytest.importorskip("paho.mqtt.client", reason="requirements/export.txt is not installed")
    if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        pytest.skip("needs Mosquitto: apt-get install mosquitto")
    broker = Mosquitto(tmp_path)
    broker.start()
    settings.ENVIRONMENT = exporting_to(export_mqtt_url=f"mqtt://127.0.0.1:{broker.port}", export_prefix="site/")
    yield broker
    broker.stop()


class Listener:
    """Hears what a broker passes on."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.got: list[tuple[str, bytes, str]] = []
        self.is_ready = False
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_message = self.hear
        self.client.on_subscribe = self.be_ready
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("site/#", qos=1)
        self.client.loop_start()
        wait_until(lambda: self.is_ready, 60)

    def be_ready(self, *_: Any) -> None:
        self.is_ready = True

    def hear(self, _client: Any, _userdata: Any, message: Any) -> None:
        told = dict(message.properties.UserProperty)
        self.got.append((message.topic, message.payload, told["event-id"]))

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_mqtt_gets_each_event_under_its_camera_in_order(mosquitto: Mosquitto) -> None:
    listener = Listener(mosquitto.port)
    written("mqtt", *(str(number) for number in range(6)))
    assert deliver.deliver("mqtt") == 6
    wait_until(lambda: len(listener.got) == 6, 60)
    listener.stop()
    assert [payload for topic, payload, _id in listener.got if topic == "site/alerts/1"] == [b"0", b"2", b"4"]
    assert [event_id for topic, _payload, event_id in listener.got if topic == "site/alerts/2"] == ["e-1", "e-3", "e-5"]


def test_mqtt_broker_that_is_down_loses_nothing(mosquitto: Mosquitto) -> None:
    written("mqtt", "{}", "{}", "{}")
    mosquitto.stop()
    assert deliver.deliver("mqtt") == 0
    assert (states(), Sink.objects.get().last_error) == (
        ["waiting"] * 3,
        "The broker was not reached: ConnectionRefusedError.",
    )
    mosquitto.start()
    let_try_again()
    assert deliver.deliver("mqtt") == 3


def test_event_too_large_for_mqtt_is_parked(mosquitto: Mosquitto) -> None:
    written("mqtt", "x" * 30_000, "{}", "{}")
    assert deliver.deliver("mqtt") == 2
    assert states() == [EventState.PARKED, EventState.DELIVERED, EventState.DELIVERED]


@pytest.fixture
def web(settings: Any) -> Iterator[BackOffice]:
    with standing_in() as receiver:
        settings.ENVIRONMENT = exporting_to(
            export_webhook_url=f"{receiver.url}/events",
            export_webhook_secret="known to both",
            notification_networks="127.0.0.0/8",
        )
        yield receiver


def test_webhook_gets_each_event_signed(web: BackOffice) -> None:
    from trafficmon.notifications.channels.webhook import sign

    [row, _other] = written("webhook", '{"a":1}', '{"b":2}')
    assert deliver.deliver("webhook") == 2
    first = web.received[0]
    assert first.headers["webhook-id"] == row.event_id
    moment = first.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] == sign("known to both", row.event_id, moment, b'{"a":1}')


@pytest.mark.parametrize(
    ("status", "state", "attempts", "failures"),
    [(422, "parked", 1, 0), (500, "waiting", 1, 0), (503, "waiting", 0, 1), (404, "waiting", 0, 1)],
)
def test_webhook_tells_a_bad_event_from_a_receiver_that_is_away(
    web: BackOffice, status: int, state: str, attempts: int, failures: int
) -> None:
    [row] = written("webhook", "{}")
    web.status = status
    assert deliver.deliver("webhook") == 0
    row.refresh_from_db()
    assert (row.state, row.attempts, Sink.objects.get().failures) == (state, attempts, failures)


def test_webhook_to_an_address_that_is_not_allowed_waits(web: BackOffice, settings: Any) -> None:
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"notification_networks": ()})
    written("webhook", "{}")
    assert deliver.deliver("webhook") == 0
    assert "ALGO_NOTIFICATION_NETWORKS" in Sink.objects.get().last_error


def test_kafka_settings_that_cannot_be_used_say_so(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from trafficmon.exports.sinks import kafka as sink

    monkeypatch.setattr(sink, "configuration", lambda: {"no.such.setting": 1})
    with pytest.raises(SinkUnavailable, match=r"^Kafka's settings cannot be used: "):
        sink._producer()
