"""A request is made ready, then waits for its slot; where that was lost nothing is sent: both clients, real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from assessment.clients import ModelClient, RateLimited, load_client
from assessment.limiter import SlotLost
from assessment.simulator import Latency, RunningSimulator, running_simulator
from tests.client_questions import KEY, question

pytestmark = pytest.mark.integration


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0)) as running:
        yield running


@pytest.fixture(params=["dashscope", "openai"])
def client(request: pytest.FixtureRequest, simulator: RunningSimulator) -> ModelClient:
    if request.param == "openai":
        return load_client("openai", base_url=f"{simulator.origin}/compatible-mode/v1")
    return load_client("dashscope", base_url=simulator.base_url)


class Way:
    """Notes when it is asked what, and how many requests had come by then."""

    WAIT_SECONDS = 1.5
    """Longer than a call takes on a busy machine."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self.simulator = simulator
        self.seen: list[tuple[str, int]] = []

    def await_slot(self) -> None:
        time.sleep(self.WAIT_SECONDS)
        self._see("await_slot")

    def begin(self) -> float:
        self._see("begin")
        return 60.0

    def note_sent(self) -> None:
        time.sleep(0.05)
        self._see("note_sent")

    def _see(self, what: str) -> None:
        self.seen.append((what, self.simulator.stats()["requests"]))


class LostWay(Way):
    def begin(self) -> float:
        raise SlotLost("cooling", 10.0)


class DisconnectedWay(Way):
    def await_slot(self) -> None:
        self.simulator.close_connections()
        time.sleep(0.3)


def test_request_waits_once_and_its_wait_is_not_the_models(client: ModelClient, simulator: RunningSimulator) -> None:
    way = Way(simulator)
    answer = client.ask(question(), api_key=KEY, timeout_seconds=30, departure=way)
    client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert way.seen == [("await_slot", 0), ("begin", 0), ("note_sent", 1)]
    assert simulator.stats()["requests"] == 2
    assert 0 < answer.seconds < Way.WAIT_SECONDS


def test_nothing_is_sent_where_the_slot_was_lost(client: ModelClient, simulator: RunningSimulator) -> None:
    with pytest.raises(SlotLost):
        client.ask(question(), api_key=KEY, timeout_seconds=30, departure=LostWay(simulator))
    assert simulator.stats()["requests"] == 0


def test_time_allowed_begins_when_the_request_is_sent(client: ModelClient, simulator: RunningSimulator) -> None:
    simulator.control(faults=[{"kind": "rate_limit", "count": 1}])
    with pytest.raises(RateLimited):
        client.ask(question(), api_key=KEY, timeout_seconds=Way.WAIT_SECONDS - 0.1, departure=Way(simulator))


def test_connection_that_was_closed_during_the_wait_is_opened_anew(
    client: ModelClient, simulator: RunningSimulator
) -> None:
    client.ask(question(), api_key=KEY, timeout_seconds=30)
    client.ask(question(), api_key=KEY, timeout_seconds=30, departure=DisconnectedWay(simulator))
    assert (simulator.stats()["requests"], simulator.stats()["connections"]) == (2, 2)
