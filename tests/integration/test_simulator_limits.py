"""The stand-in limits each account and model, as the provider does, within strict sliding windows."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.simulator import Growth, Latency, RunningSimulator, running_simulator
from assessment.simulator.exchange import Refusal
from assessment.simulator.limits import AccountLimits, Permitted
from tests.simulator_requests import body, post

pytestmark = pytest.mark.integration


def test_requests_over_the_limits_of_a_key_are_refused() -> None:
    with running_simulator(latency=Latency(median_seconds=0), rps=3, rpm=4) as simulator:
        codes = codes_of_one_second(simulator, requests=5)
        assert codes == ["ok", "ok", "ok", "Throttling.RateQuota", "Throttling.RateQuota"]
        assert post(simulator, body(), key="sk-2").status_code == 200


def codes_of_one_second(simulator: RunningSimulator, *, requests: int) -> list[str]:
    """What so many requests with one key are answered; tried again with another where a second was too short."""
    for attempt in range(50):
        started = time.monotonic()
        codes = [post(simulator, body(), key=f"sk-1{attempt:02}").json().get("code", "ok") for _ in range(requests)]
        if time.monotonic() - started < 1:
            return codes
    pytest.fail("the machine is too slow for this test to mean anything")


def test_keys_of_one_account_share_its_limits() -> None:
    keys = ("sk-1@acct-a", "sk-2@acct-a", "sk-3@acct-b", "sk-4")
    with running_simulator(latency=Latency(median_seconds=0), keys=keys, rpm=2) as simulator:
        asked = [
            (key, post(simulator, body(), key=key).status_code) for key in ("sk-1", "sk-2", "sk-1", "sk-3", "sk-4")
        ]
        assert asked == [("sk-1", 200), ("sk-2", 200), ("sk-1", 429), ("sk-3", 200), ("sk-4", 200)]
        by_account = simulator.stats()["by_account"]
    assert by_account == {
        "acct-a": {"ok": 2, "Throttling.RateQuota": 1},
        "acct-b": {"ok": 1},
        "…sk-4": {"ok": 1},
    }


def test_each_model_of_an_account_has_its_own_limits() -> None:
    with running_simulator(latency=Latency(median_seconds=0), rpm=1) as simulator:
        models = ("qwen-vl-plus", "qwen-vl-max", "qwen-vl-plus")
        assert [post(simulator, body(model=model)).status_code for model in models] == [200, 200, 429]


def test_requests_over_the_limit_in_flight_are_refused_and_free_their_place_in_the_end() -> None:
    with running_simulator(latency=Latency(median_seconds=1.5), in_flight=2) as simulator:
        with ThreadPoolExecutor(3) as threads:
            replies = list(threads.map(lambda _number: post(simulator, body()), range(3)))
        assert sorted(reply.status_code for reply in replies) == [200, 200, 429]
        assert {reply.json().get("code") for reply in replies} == {None, "Throttling.Concurrency"}
        assert post(simulator, body()).status_code == 200


def admissions(permitted: Permitted, moments: list[float], *, tokens: int = 1) -> list[str]:
    limits = AccountLimits(permitted)
    outcomes = []
    for moment in moments:
        try:
            with limits.admitted("a", "m", tokens=tokens, now=moment):
                outcomes.append("ok")
        except Refusal as refusal:
            outcomes.append(refusal.code.removeprefix("Throttling."))
    return outcomes


def test_window_slides_and_a_refused_request_is_not_counted() -> None:
    moments = [0, 0.9, 0.95, 0.999, 1.0, 1.5, 1.95]
    refused = "RateQuota"
    assert admissions(Permitted(rps=2), moments) == ["ok", "ok", refused, refused, "ok", refused, "ok"]


def test_tokens_are_free_again_after_a_minute() -> None:
    outcomes = admissions(Permitted(tpm=10), [0, 30, 59.9, 60, 89, 90], tokens=5)
    assert outcomes == ["ok", "ok", "AllocationQuota", "ok", "AllocationQuota", "ok"]


def test_rate_that_grows_too_fast_is_refused() -> None:
    permitted = Permitted(growth=Growth(factor=2, seconds=10, free=3))
    assert admissions(permitted, [0, 0, 0, 0]) == ["ok", "ok", "ok", "BurstRate"]
    steady = [0.0] * 3 + [10.0] * 6
    assert admissions(permitted, steady) == ["ok"] * 9
    assert admissions(permitted, [*steady, 10.0]) == ["ok"] * 9 + ["BurstRate"]
    assert admissions(permitted, [*steady, *[20.0] * 12, 20.0, 60.0]) == ["ok"] * 21 + ["BurstRate", "ok"]


@given(
    st.lists(st.floats(0, 0.4) | st.floats(0, 20), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_no_window_ever_holds_more_than_its_limit(gaps: list[float], rps: int, rpm: int, tpm: int) -> None:
    moments = list(itertools.accumulate(gaps))
    outcomes = admissions(Permitted(rps=rps, rpm=rpm, tpm=tpm), moments, tokens=3)
    admitted = [moment for moment, outcome in zip(moments, outcomes, strict=True) if outcome == "ok"]
    for end in admitted:
        assert sum(end - 1 < each <= end for each in admitted) <= rps
        in_minute = sum(end - 60 < each <= end for each in admitted)
        assert in_minute <= rpm
        assert 3 * in_minute <= tpm


def test_tokens_over_the_limit_are_refused_by_their_own_name() -> None:
    with running_simulator(latency=Latency(median_seconds=0)) as simulator:
        tokens = post(simulator, body()).json()["usage"]["input_tokens"]
    with running_simulator(latency=Latency(median_seconds=0), tpm=2 * tokens + 1) as simulator:
        codes = [post(simulator, body()).json().get("code", "ok") for _ in range(3)]
    assert codes == ["ok", "ok", "Throttling.AllocationQuota"]
