"""The stand-in's second protocol is as strict as the first, and shares everything behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from assessment.simulator import FaultKind, Latency, RunningSimulator, running_simulator
from assessment.simulator.compatible import MODEL_PATHS, PATHS
from assessment.simulator.exchange import MODELS
from tests.simulator_requests import JPEG, body, post, uri

pytestmark = pytest.mark.integration


def text_of(native: dict[str, Any], message: int, part: int) -> str:
    return str(native["input"]["messages"][message]["content"][part]["text"])


def compatible_body(**changes: Any) -> dict[str, Any]:
    """The native question in this protocol."""
    native = body()
    request: dict[str, Any] = {
        "model": native["model"],
        "messages": [
            {"role": "system", "content": text_of(native, 0, 0)},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": uri(JPEG)}},
                    {"type": "text", "text": text_of(native, 1, 1)},
                ],
            },
        ],
        "response_format": {"type": "json_object"},
    }
    return {**request, **changes}


def complete(
    simulator: RunningSimulator, request: object, *, key: str = "sk-1", path: str = PATHS[0]
) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{simulator.origin}{path}", json=request, headers=headers, timeout=10)


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningSimulator]:
    """For tests that leave no trace in it."""
    with running_simulator(latency=Latency(median_seconds=0)) as running:
        yield running


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), rpm=100) as running:
        yield running


@pytest.mark.parametrize("path", PATHS)
def test_reply_has_the_documented_shape(shared: RunningSimulator, path: str) -> None:
    reply = complete(shared, compatible_body(), path=path)
    told = reply.json()
    assert reply.status_code == 200
    assert (told["object"], told["model"], told["id"][:9]) == ("chat.completion", "qwen-vl-plus", "chatcmpl-")
    [choice] = told["choices"]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    assert choice["message"]["content"].startswith("{")
    usage = told["usage"]
    assert usage["prompt_tokens_details"]["image_tokens"] == 20 * 11 + 2
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_same_question_costs_and_is_answered_the_same_in_both_protocols(shared: RunningSimulator) -> None:
    native, compatible = post(shared, body()).json(), complete(shared, compatible_body()).json()
    assert native["usage"]["input_tokens"] == compatible["usage"]["prompt_tokens"]
    [choice] = native["output"]["choices"]
    assert choice["message"]["content"] == [{"text": compatible["choices"][0]["message"]["content"]}]


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 2, "max_tokens": 1024, "seed": 1, "user": "trafficmon", "stream": False, "n": 1},
        {"max_completion_tokens": 5, "top_p": 1, "stop": ["x"], "metadata": {"a": "b"}, "reasoning_effort": "low"},
        {"enable_thinking": False, "top_k": 1},
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "JSON"}]}]},
    ],
)
def test_documented_fields_are_accepted(shared: RunningSimulator, changes: dict[str, Any]) -> None:
    assert complete(shared, compatible_body(**changes)).status_code == 200


def with_part(part: dict[str, Any]) -> dict[str, Any]:
    return compatible_body(messages=[{"role": "user", "content": [{"type": "text", "text": "json"}, part]}])


@pytest.mark.parametrize(
    ("request_body", "status", "code"),
    [
        (compatible_body(model="llava"), 404, "model_not_found"),
        ({"model": "qwen-vl-plus"}, 400, "invalid_parameter_error"),
        (compatible_body(messages=[]), 400, "invalid_parameter_error"),
        (compatible_body(messages=[{"role": "robot", "content": "json"}]), 400, "invalid_parameter_error"),
        (compatible_body(messages=asked("hello")), 400, "invalid_parameter_error"),
        (compatible_body(temperature=2.1), 400, "invalid_parameter_error"),
        (compatible_body(unheard_of=1), 400, "invalid_parameter_error"),
        (compatible_body(n=2), 400, "invalid_parameter_error"),
        (compatible_body(stream=True), 400, "invalid_parameter_error"),
        (body(), 400, "invalid_parameter_error"),
        ([1], 400, "invalid_parameter_error"),
        (with_part({"text": "native"}), 400, "invalid_parameter_error"),
        (with_part({"type": "image_url", "image_url": uri(JPEG)}), 400, "invalid_parameter_error"),
        (with_part({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}), 400, "InvalidURL"),
        (with_part({"type": "image_url", "image_url": {"url": uri(JPEG[:-200])}}), 400, "invalid_parameter_error"),
    ],
)
def test_wrong_request_is_refused_in_the_form_of_this_protocol(
    shared: RunningSimulator, request_body: object, status: int, code: str
) -> None:
    reply = complete(shared, request_body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}


def test_stream_is_refused_clearly(shared: RunningSimulator) -> None:
    assert "does not stream" in complete(shared, compatible_body(stream=True)).json()["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.RATE_LIMIT, 429, "limit_requests"),
        (FaultKind.BURST_LIMIT, 429, "limit_burst_rate"),
        (FaultKind.TOKEN_LIMIT, 429, "insufficient_quota"),
        (FaultKind.REVOKED, 401, "invalid_api_key"),
        (FaultKind.BLOCKED, 400, "data_inspection_failed"),
        (FaultKind.OK_WITHOUT_OUTPUT, 200, "data_inspection_failed"),
        (FaultKind.MODEL_NOT_FOUND, 404, "model_not_found"),
        (FaultKind.ARREARAGE, 400, "Arrearage"),
        (FaultKind.OVERLOADED, 503, "ModelServingError"),
    ],
)
def test_faults_are_those_of_the_native_protocol_under_the_names_of_this_one(
    simulator: RunningSimulator, kind: FaultKind, status: int, code: str
) -> None:
    simulator.control(kind=kind.value, count=1)
    reply = complete(simulator, compatible_body())
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert complete(simulator, compatible_body()).status_code == 200


def test_limits_are_shared_by_both_protocols() -> None:
    with running_simulator(latency=Latency(median_seconds=0), keys=("sk-1@a", "sk-2@a"), rpm=2) as simulator:
        assert post(simulator, body(), key="sk-1").status_code == 200
        assert complete(simulator, compatible_body(), key="sk-2").status_code == 200
        refused = [post(simulator, body(), key="sk-2"), complete(simulator, compatible_body(), key="sk-1")]
        assert [reply.status_code for reply in refused] == [429, 429]
        assert simulator.stats()["by_account"] == {"a": {"ok": 2, "Throttling.RateQuota": 2}}


@pytest.mark.parametrize("path", MODEL_PATHS)
def test_models_are_listed_for_those_with_a_key(simulator: RunningSimulator, path: str) -> None:
    def listed(key: str) -> requests.Response:
        return requests.get(f"{simulator.origin}{path}", headers={"Authorization": f"Bearer {key}"}, timeout=5)

    assert [each["id"] for each in listed("sk-1").json()["data"]] == list(MODELS)
    assert (listed("wrong").status_code, listed("wrong").json()["error"]["code"]) == (401, "invalid_api_key")
