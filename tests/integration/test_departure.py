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


def test_request_waits_once_and_its_wait_is_not_the_models(client: ModelClient, simulator: RunningSimulator) -> None:
    seen = []

    def wait() -> None:
        seen.append(simulator.stats()["requests"])
        time.sleep(0.4)

    answer = client.ask(question(), api_key=KEY, timeout_seconds=5, before_sending=wait)
    client.ask(question(), api_key=KEY, timeout_seconds=5)
    assert seen == [0]
    assert simulator.stats()["requests"] == 2
    assert 0 < answer.seconds < 0.35


def test_nothing_is_sent_where_the_slot_was_lost(client: ModelClient, simulator: RunningSimulator) -> None:
    def lose() -> None:
        raise SlotLost("cooling", 10.0)

    with pytest.raises(SlotLost):
        client.ask(question(), api_key=KEY, timeout_seconds=5, before_sending=lose)
    assert simulator.stats()["requests"] == 0


def test_time_allowed_begins_when_the_request_is_sent(client: ModelClient, simulator: RunningSimulator) -> None:
    simulator.control(faults=[{"kind": "rate_limit", "count": 1}])
    with pytest.raises(RateLimited):
        client.ask(question(), api_key=KEY, timeout_seconds=0.5, before_sending=lambda: time.sleep(0.7))
