"""The OpenAI-compatible client against a server that counts: one request a question, every refusal by its name."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from assessment.clients import (
    ContentBlocked,
    EmptyResponse,
    KeyRevoked,
    ModelClient,
    ModelForbidden,
    ModelTimedOut,
    ProviderFailed,
    ProviderUnreachable,
    QuestionRejected,
    RateLimited,
    Scope,
    TokenLimited,
    UnableToAssess,
    Unpaid,
    load_client,
)
from assessment.clients.failures import ServerBusy, UnknownModel, failure_of
from assessment.simulator import FaultKind, Latency, RunningSimulator, running_simulator
from tests.client_questions import FAILURES, KEY, question
from tests.replying import replying
from tests.simulator_requests import JPEG

pytestmark = pytest.mark.integration

DASHSCOPE = "/compatible-mode/v1"
ELSEWHERE = "/v1"


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), keep_requests=200) as running:
        yield running


@pytest.fixture
def client(simulator: RunningSimulator) -> ModelClient:
    return load_client("openai", base_url=simulator.origin + DASHSCOPE)


@pytest.fixture
def elsewhere(simulator: RunningSimulator) -> ModelClient:
    """The client of the same server where it does not look like DashScope's."""
    return load_client("openai", base_url=simulator.origin + ELSEWHERE)


def refused(base_url: str) -> UnableToAssess:
    with pytest.raises(UnableToAssess) as failed:
        load_client("openai", base_url=base_url).ask(question(), api_key=KEY, timeout_seconds=30)
    return failed.value


def test_answer_carries_text_tokens_and_identity(client: ModelClient) -> None:
    answer = client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert '"type": "pedestrian_conflict"' in answer.text
    assert (answer.model, answer.request_id[:9]) == ("qwen-vl-plus", "chatcmpl-")
    assert answer.input_tokens > answer.output_tokens > 0
    assert 0 < answer.seconds < 30


def test_both_clients_get_the_same_answer_for_the_same_tokens(simulator: RunningSimulator, client: ModelClient) -> None:
    native = load_client("dashscope", base_url=simulator.base_url)
    one, other = (each.ask(question(), api_key=KEY, timeout_seconds=30) for each in (client, native))
    assert (one.text, one.input_tokens, one.output_tokens) == (other.text, other.input_tokens, other.output_tokens)


def test_request_is_the_documented_one(simulator: RunningSimulator, elsewhere: ModelClient) -> None:
    asked = question(model="qwen3-vl-plus")
    elsewhere.ask(asked, api_key=KEY, timeout_seconds=30)
    [request] = simulator.captured
    image = f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    assert request.path == "/v1/chat/completions"
    assert request.body == {
        "model": "qwen3-vl-plus",
        "temperature": 0.1,
        "max_tokens": 1024,
        "response_format": {"type": "json_object"},
        "messages": [
            {"role": "system", "content": asked.system},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": asked.text}],
            },
        ],
    }
    needed = {"Host", "Accept", "Connection", "Authorization", "Content-Type", "Content-Length"}
    assert set(request.headers) == needed | {"User-Agent", "Accept-Encoding"}
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["User-Agent"].startswith("trafficmon/")


def test_dashscope_is_told_not_to_think_and_others_are_not_bothered(
    simulator: RunningSimulator, client: ModelClient, elsewhere: ModelClient
) -> None:
    for each in (client, elsewhere):
        each.ask(question(model="qwen3-vl-plus"), api_key=KEY, timeout_seconds=30)
    assert [request.body.get("enable_thinking") for request in simulator.captured] == [False, None]


@pytest.mark.parametrize("vendor", ["openai", "dashscope"])
def test_json_mode_can_be_switched_off(simulator: RunningSimulator, vendor: str) -> None:
    base_url = simulator.origin + DASHSCOPE if vendor == "openai" else simulator.base_url
    for json_mode in (True, False):
        client = load_client(vendor, base_url=base_url, json_mode=json_mode)  # type: ignore[arg-type]  # parametrized
        client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert ["response_format" in json.dumps(request.body) for request in simulator.captured] == [True, False]


def test_json_mode_is_asked_only_of_dashscope_models_that_have_it(
    simulator: RunningSimulator, client: ModelClient, elsewhere: ModelClient
) -> None:
    for each in (client, elsewhere):
        with pytest.raises(UnableToAssess):
            each.ask(question(model="llava"), api_key=KEY, timeout_seconds=30)
    assert ["response_format" in request.body for request in simulator.captured] == [False, True]


def test_reasoning_model_gets_the_limit_it_knows_and_no_temperature(
    simulator: RunningSimulator, elsewhere: ModelClient
) -> None:
    with pytest.raises(ModelForbidden):
        elsewhere.ask(question(model="gpt-5-mini"), api_key=KEY, timeout_seconds=30)
    sent = simulator.captured[-1].body
    assert (sent["max_completion_tokens"], "max_tokens" in sent, "temperature" in sent) == (8192, False, False)


@pytest.mark.parametrize(("kind", "failure", "reason"), FAILURES)
def test_failure_has_its_name_and_costs_one_request(
    simulator: RunningSimulator, client: ModelClient, kind: FaultKind, failure: type[UnableToAssess], reason: str
) -> None:
    simulator.control(kind=kind, count=1)
    # Only what never answers is to run out of time, on a slow machine, too.
    waits_in_vain = kind in {FaultKind.HANG, FaultKind.TRICKLE}
    started = time.monotonic()
    with pytest.raises(UnableToAssess) as failed:
        client.ask(question(), api_key=KEY, timeout_seconds=0.6 if waits_in_vain else 30)
    assert (type(failed.value), failed.value.reason) == (failure, reason)
    assert time.monotonic() - started < 20
    assert (simulator.stats()["requests"], simulator.stats()["bodies"]) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "failure", "reason", "scope"),
    [
        (FaultKind.OVERLOADED, ServerBusy, "overloaded", Scope.ACCOUNT),
        (FaultKind.MODEL_NOT_FOUND, ModelForbidden, "forbidden", Scope.KEY),
        (FaultKind.RATE_LIMIT, RateLimited, "rate_limited", Scope.ACCOUNT),
    ],
)
def test_server_of_its_own_fails_for_its_own_account_only(
    simulator: RunningSimulator,
    elsewhere: ModelClient,
    kind: FaultKind,
    failure: type[UnableToAssess],
    reason: str,
    scope: Scope,
) -> None:
    simulator.control(kind=kind, count=1)
    with pytest.raises(UnableToAssess) as failed:
        elsewhere.ask(question(), api_key=KEY, timeout_seconds=30)
    assert (type(failed.value), failed.value.reason, failed.value.scope) == (failure, reason, scope)


def test_dropped_kept_open_connection_is_not_tried_again(simulator: RunningSimulator, client: ModelClient) -> None:
    client.ask(question(), api_key=KEY, timeout_seconds=30)
    simulator.control(kind="drop", count=1)
    with pytest.raises(ProviderUnreachable):
        client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert simulator.stats()["requests"] == 2


NO_MONEY = "You exceeded your current quota, please check your plan and billing details."
TOO_MANY_TOKENS = "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000."


@pytest.mark.parametrize(
    ("status", "error", "failure"),
    [
        ("429 Too Many", {"code": "insufficient_quota", "type": "insufficient_quota", "message": NO_MONEY}, Unpaid),
        ("429 Too Many", {"code": None, "type": "insufficient_quota", "message": NO_MONEY}, Unpaid),
        ("429 Too Many", {"code": "rate_limit_exceeded", "type": "requests", "message": "RPM"}, RateLimited),
        ("429 Too Many", {"code": "rate_limit_exceeded", "message": TOO_MANY_TOKENS}, TokenLimited),
        ("429 Too Many", {"code": "billing_hard_limit_reached", "message": ""}, Unpaid),
        ("402 Payment", {"code": 402, "message": "Insufficient balance"}, Unpaid),
        ("400 Bad", {"code": "context_length_exceeded", "message": "8192"}, QuestionRejected),
        ("400 Bad", {"code": None, "type": "invalid_request_error", "message": "x"}, QuestionRejected),
        ("400 Bad", {"code": 400, "type": "BadRequestError", "message": "x", "param": None}, QuestionRejected),
        ("400 Bad", {"code": "content_filter", "message": "x"}, ContentBlocked),
        ("401 Unauthorized", {"code": None, "type": "invalid_request_error", "message": "no key"}, KeyRevoked),
        ("401 Unauthorized", {"code": "invalid_api_key", "message": "x"}, KeyRevoked),
        ("401 Unauthorized", "Unauthorized", KeyRevoked),
        ("404 Not Found", {"code": 404, "type": "NotFoundError", "message": "no such model"}, ModelForbidden),
        ("404 Not Found", {"code": None, "type": "api_error", "message": "model 'x' not found"}, ModelForbidden),
        ("500 Error", {"code": None, "type": "server_error", "message": "x"}, ProviderFailed),
        ("503 Unavailable", {"code": None, "type": "server_error", "message": "x"}, ServerBusy),
        ("503 Unavailable", "server busy, please try again", ServerBusy),
    ],
)
def test_refusals_of_openai_vllm_and_ollama_have_their_names(
    status: str, error: object, failure: type[UnableToAssess]
) -> None:
    with replying(status, json.dumps({"error": error})) as base_url:
        assert type(refused(base_url)) is failure


def test_refusal_tells_what_its_provider_told() -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    headers = ("Retry-After: 7", "X-Request-ID: req-1")
    with replying("429 Too Many", json.dumps({"error": error}), *headers) as base_url:
        failure = refused(base_url)
    told = (str(failure), failure.status, failure.code, failure.request_id, failure.retry_after_seconds)
    assert told == ("slow down", 429, "rate_limit_exceeded", "req-1", 7.0)


def test_refusal_of_an_old_vllm_or_of_fastapi_is_told_in_its_words() -> None:
    with replying("400 Bad", '{"object": "error", "message": "too long", "code": 400}') as base_url:
        assert str(refused(base_url)) == "too long"
    with replying("404 Not Found", '{"detail": "Not Found"}') as base_url:
        assert str(refused(base_url)) == "Not Found"


def test_same_words_mean_a_throttle_at_dashscope_and_no_money_elsewhere() -> None:
    body = json.dumps({"error": {"code": "insufficient_quota", "message": NO_MONEY}})
    with replying("429 Too Many", body) as base_url:
        assert type(refused(base_url.replace("/api/v1", DASHSCOPE))) is TokenLimited
    with replying("429 Too Many", body) as base_url:
        assert type(refused(base_url.replace("/api/v1", ELSEWHERE))) is Unpaid


@pytest.mark.parametrize("status", ["401 Unauthorized", "200 OK"])
def test_provider_that_repeats_the_key_does_not_leak_it(caplog: pytest.LogCaptureFixture, status: str) -> None:
    body = json.dumps({"error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {KEY}."}})
    with caplog.at_level(logging.DEBUG), replying(status, body) as base_url:
        failure = refused(base_url)
    assert (type(failure), str(failure)) == (KeyRevoked, "Incorrect API key provided: ***.")
    assert KEY not in caplog.text
    assert "base64" not in caplog.text


@pytest.mark.parametrize("key", ["sk-with\nnewline", "sk-中文"])
def test_key_that_cannot_be_sent_is_revoked_and_not_told(client: ModelClient, key: str) -> None:
    with pytest.raises(KeyRevoked) as failed:
        client.ask(question(), api_key=key, timeout_seconds=30)
    assert key.strip() not in f"{failed.value!r} {failed.value.__cause__!r}"


@pytest.mark.parametrize(
    "body",
    ["", "[]", "null", "not json", "{}", '{"choices": 3}', '{"choices": ["x"]}', '{"choices": [{"message": 1}]}'],
)
def test_reply_outside_the_protocol_is_the_providers_failure(body: str) -> None:
    with replying("200 OK", body) as base_url:
        assert type(refused(base_url)) is ProviderFailed


@pytest.mark.parametrize(
    ("status", "failure"),
    [("429 Too Many", RateLimited), ("503 Unavailable", ProviderFailed), ("502 Bad", ProviderFailed)],
)
@pytest.mark.parametrize("body", ["", "<html>", "[]"])
def test_refusal_without_a_body_is_told_by_its_status(status: str, failure: type[UnableToAssess], body: str) -> None:
    with replying(status, body) as base_url:
        assert type(refused(base_url.replace("/api/v1", DASHSCOPE))) is failure


@pytest.mark.parametrize("where", [DASHSCOPE, ELSEWHERE])
@pytest.mark.parametrize("status", ["401 Unauthorized", "402 Payment", "403 Forbidden", "404 Not Found"])
@pytest.mark.parametrize("body", ["<html>", "404 page not found", '{"message": "Forbidden"}'])
def test_proxy_that_refuses_takes_out_nobody(status: str, body: str, where: str) -> None:
    with replying(status, body) as base_url:
        failure = refused(base_url.replace("/api/v1", where))
    assert type(failure) is ProviderFailed
    assert str(failure).startswith(f"HTTP {status[:3]}, perhaps of a proxy")


def test_proxy_of_a_server_that_is_away_stops_no_model_for_others() -> None:
    with replying("503 Unavailable", "<html>") as base_url:
        assert type(refused(base_url)) is ServerBusy


@pytest.mark.parametrize(
    ("choices", "failure"),
    [
        ([], EmptyResponse),
        ([{}], EmptyResponse),
        ([{"message": {"role": "assistant", "content": None}}], EmptyResponse),
        ([{"message": {"content": " "}, "finish_reason": "length"}], EmptyResponse),
        ([{"message": {"content": "", "reasoning_content": "long thoughts"}}], EmptyResponse),
        ([{"message": {"content": ""}, "finish_reason": "content_filter"}], ContentBlocked),
    ],
)
def test_reply_without_words_is_empty_or_blocked(choices: object, failure: type[UnableToAssess]) -> None:
    with replying("200 OK", json.dumps({"choices": choices})) as base_url:
        assert type(refused(base_url)) is failure


@pytest.mark.parametrize(
    "message",
    [
        {"content": "words", "reasoning_content": "thoughts"},
        {"content": [{"type": "text", "text": "wor"}, {"type": "text", "text": "ds"}], "reasoning": "thoughts"},
        {"content": "wo\x00r\ud800ds"},
    ],
)
def test_content_is_one_string_or_parts_and_thoughts_are_ignored(message: dict[str, object]) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": None, "total_tokens": 3}
    body = json.dumps({"id": "x", "choices": [{"message": message}], "usage": usage})
    with replying("200 OK", body) as base_url:
        client = load_client("openai", base_url=base_url + "/")
        answer = client.ask(question(), api_key="none", timeout_seconds=30)
    assert (answer.text, answer.request_id, answer.input_tokens, answer.output_tokens) == ("words", "x", 3, 0)


def test_redirect_is_not_followed() -> None:
    with running_simulator() as other, replying("307 Moved", "", f"Location: {other.origin}/v1/x") as base_url:
        assert type(refused(base_url)) is QuestionRejected
        assert other.stats()["requests"] == 0


def test_reply_that_trickles_is_cut_off_in_time() -> None:
    with replying("200 OK", "", *(f"X-{each}: 1" for each in range(100)), pause=0.05) as base_url:
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            load_client("openai", base_url=base_url).ask(question(), api_key=KEY, timeout_seconds=0.4)
    assert time.monotonic() - started < 4


def test_many_threads_share_kept_open_connections() -> None:
    with running_simulator(latency=Latency(median_seconds=0.02)) as simulator:
        client = load_client("openai", base_url=simulator.origin + ELSEWHERE, connections=16)
        with ThreadPoolExecutor(16) as threads:
            keys = [f"sk-{each:06}" for each in range(16)] * 10
            answers = list(threads.map(lambda key: client.ask(question(), api_key=key, timeout_seconds=10), keys))
        stats = simulator.stats()
    assert len({answer.request_id for answer in answers}) == 160
    assert stats["requests"] == 160
    assert stats["connections"] <= 16


def test_codes_of_dashscope_mean_the_same_in_both_protocols() -> None:
    assert failure_of(404, "model_not_found", "") is UnknownModel
    assert failure_of(429, "insufficient_quota", NO_MONEY) is TokenLimited
    assert failure_of(400, "invalid_parameter_error", "") is QuestionRejected
