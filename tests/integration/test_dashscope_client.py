"""The real SDK against a server that counts: one request a question whatever happens, every refusal by its name."""

from __future__ import annotations

import base64
import ipaddress
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assessment.clients import (
    BurstLimited,
    EmptyResponse,
    KeyRevoked,
    ModelClient,
    ModelOverloaded,
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
from assessment.clients.failures import UnknownModel, failure_of
from assessment.simulator import FaultKind, Latency, RunningSimulator, running_simulator
from tests.client_questions import FAILURES, KEY, question
from tests.replying import replying
from tests.simulator_requests import JPEG

pytestmark = pytest.mark.integration


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0), keep_requests=200) as running:
        yield running


@pytest.fixture
def client(simulator: RunningSimulator) -> ModelClient:
    return load_client("dashscope", base_url=simulator.base_url)


def test_answer_carries_text_tokens_and_identity(client: ModelClient) -> None:
    answer = client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert '"type": "pedestrian_conflict"' in answer.text
    assert (answer.model, len(answer.request_id)) == ("qwen-vl-plus", 36)
    assert answer.input_tokens > answer.output_tokens > 0
    assert 0 < answer.seconds < 30


def test_request_is_the_documented_one(simulator: RunningSimulator, client: ModelClient) -> None:
    asked = question(model="qwen3-vl-plus")
    client.ask(asked, api_key=KEY, timeout_seconds=30)
    (request,) = simulator.captured
    image = f"data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}"
    assert request.path == "/api/v1/services/aigc/multimodal-generation/generation"
    assert request.body == {
        "model": "qwen3-vl-plus",
        "parameters": {
            "result_format": "message",
            "temperature": 0.1,
            "max_tokens": 1024,
            "response_format": {"type": "json_object"},
            "enable_thinking": False,
        },
        "input": {
            "messages": [
                {"role": "system", "content": [{"text": asked.system}]},
                {"role": "user", "content": [{"image": image}, {"text": asked.text}]},
            ]
        },
    }
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"


def test_request_tells_nothing_of_this_machine(simulator: RunningSimulator, client: ModelClient) -> None:
    client.ask(question(), api_key=KEY, timeout_seconds=30)
    headers = simulator.captured[-1].headers
    needed = {"Host", "Accept", "Connection", "Authorization", "Content-Type", "Content-Length"}
    assert set(headers) == needed | {"User-Agent", "Accept-Encoding"}
    assert headers["User-Agent"].startswith("trafficmon/")


def test_json_mode_is_asked_only_of_models_that_have_it(simulator: RunningSimulator, client: ModelClient) -> None:
    with pytest.raises(UnknownModel):
        client.ask(question(model="llava"), api_key=KEY, timeout_seconds=30)
    assert simulator.captured[-1].body["parameters"] == {
        "result_format": "message",
        "temperature": 0.1,
        "max_tokens": 1024,
    }


def untrusted_texts(folder: Path) -> list[str]:
    secret = folder / "secret.txt"
    secret.write_text("do not upload", encoding="utf-8")
    return [str(secret), f"file://{secret}", "file:///no/such", "oss://bucket/key", "~", "http://127.0.0.1:1/x", ""]


def test_text_that_names_a_file_is_sent_as_text(
    simulator: RunningSimulator, client: ModelClient, tmp_path: Path
) -> None:
    texts = untrusted_texts(tmp_path)
    for text in texts:
        client.ask(question(text=text), api_key=KEY, timeout_seconds=30)
    sent = [request.body["input"]["messages"][1]["content"][1]["text"] for request in simulator.captured]
    assert sent == texts
    assert simulator.stats()["requests"] == len(texts)


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
    assert simulator.stats()["requests"] == 1


def test_every_fault_that_is_a_failure_is_tested() -> None:
    only_spoil = {FaultKind.FENCED, FaultKind.WRAPPED, FaultKind.COMMENTED, FaultKind.BROKEN_JSON, FaultKind.RUBBISH}
    assert {kind for kind, _failure, _reason in FAILURES} == set(FaultKind) - only_spoil


def test_dropped_kept_open_connection_is_not_tried_again(simulator: RunningSimulator, client: ModelClient) -> None:
    client.ask(question(), api_key=KEY, timeout_seconds=30)
    simulator.control(kind="drop", count=1)
    with pytest.raises(ProviderUnreachable):
        client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert simulator.stats()["requests"] == 2


def test_nobody_there_is_unreachable() -> None:
    with running_simulator() as gone:
        client = load_client("dashscope", base_url=gone.base_url)
    with pytest.raises(ProviderUnreachable):
        client.ask(question(), api_key=KEY, timeout_seconds=30)


@pytest.mark.parametrize("key", ["sk-with\nnewline", "sk-中文"])
def test_key_that_cannot_be_sent_is_revoked_and_not_told(client: ModelClient, key: str) -> None:
    with pytest.raises(KeyRevoked) as failed:
        client.ask(question(), api_key=key, timeout_seconds=30)
    assert key.strip() not in f"{failed.value!r} {failed.value.__cause__!r}"


def test_provider_that_repeats_the_key_does_not_leak_it(caplog: pytest.LogCaptureFixture) -> None:
    body = f'{{"code":"InvalidApiKey","message":"Invalid API-key {KEY} provided."}}'
    with caplog.at_level(logging.DEBUG), replying("401 Unauthorized", body) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(KeyRevoked) as failed:
            client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert str(failed.value) == "Invalid API-key *** provided."
    assert KEY not in caplog.text
    assert "base64" not in caplog.text


@pytest.mark.parametrize(
    ("code", "header", "seconds"),
    [("Throttling", "7", 7), ("Throttling", "900", 900), ("", "7", 7), ("", "900", 120), ("Throttling", "86400", None)],
)
def test_retry_after_is_told_and_of_a_proxy_no_more_than_a_cooldown(
    code: str, header: str, seconds: float | None
) -> None:
    with replying("429 Too Many", f'{{"code":"{code}","message":""}}', f"Retry-After: {header}") as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(RateLimited) as failed:
            client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert (failed.value.retry_after_seconds, failed.value.status) == (seconds, 429)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "not json",
        "{}",
        '{"output": null}',
        '{"output": {"choices": 3}}',
        '{"output":{"choices":["x"]}}',
    ],
)
def test_reply_outside_the_protocol_is_the_providers_failure(body: str) -> None:
    with replying("200 OK", body) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(ProviderFailed):
            client.ask(question(), api_key=KEY, timeout_seconds=30)


@pytest.mark.parametrize(
    ("status", "failure"),
    [("429 Too Many", RateLimited), ("503 Unavailable", ProviderFailed), ("500 Error", ProviderFailed)],
)
@pytest.mark.parametrize("body", ["", "<html>", "[]"])
def test_refusal_without_a_body_is_told_by_its_status(status: str, failure: type[UnableToAssess], body: str) -> None:
    with replying(status, body) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(UnableToAssess) as failed:
            client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert type(failed.value) is failure


@pytest.mark.parametrize("status", ["401 Unauthorized", "402 Payment", "403 Forbidden", "404 Not Found"])
@pytest.mark.parametrize("body", ["", "<html>Forbidden</html>", '{"message": "Forbidden"}'])
def test_proxy_that_refuses_takes_out_nobody(status: str, body: str) -> None:
    with replying(status, body) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(
            ProviderFailed, match=r"^HTTP 40., perhaps of a proxy or gateway before the provider: ."
        ) as one:
            client.ask(question(), api_key=KEY, timeout_seconds=30)
    assert one.value.scope == Scope.PROVIDER


@pytest.mark.parametrize(
    "body",
    [
        '{"output": {}}',
        '{"output": {"choices": []}}',
        '{"output": {"choices": [{"finish_reason":"stop","message": {"role":"assistant","content": []}}]}}',
        '{"output": {"choices": [{"message": {"role":"assistant","content": [{"text": "  "}]}}]}}',
    ],
)
def test_reply_without_words_is_empty(body: str) -> None:
    with replying("200 OK", body) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(EmptyResponse):
            client.ask(question(), api_key=KEY, timeout_seconds=30)


def test_content_may_be_one_string() -> None:
    body = (
        '{"output": {"choices": [{"message": {"role":"assistant","content": "words"}}]}, "usage": {"input_tokens": 3}}'
    )
    with replying("200 OK", body) as base_url:
        answer = load_client("dashscope", base_url=base_url).ask(question(), api_key=KEY, timeout_seconds=30)
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("words", 3, 0)


def test_redirect_is_not_followed() -> None:
    with running_simulator() as elsewhere, replying("307 Moved", "", f"Location: {elsewhere.base_url}/x") as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(QuestionRejected):
            client.ask(question(), api_key=KEY, timeout_seconds=30)
        assert elsewhere.stats()["requests"] == 0


def test_headers_that_trickle_are_cut_off_in_time() -> None:
    with replying("200 OK", "", *(f"X-{each}: 1" for each in range(100)), pause=0.05) as base_url:
        client = load_client("dashscope", base_url=base_url)
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            client.ask(question(), api_key=KEY, timeout_seconds=0.4)
    assert time.monotonic() - started < 4


def test_endless_reply_is_cut_off() -> None:
    with replying("200 OK", " " * 3_000_000) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(UnableToAssess):
            client.ask(question(), api_key=KEY, timeout_seconds=10)


def test_answer_loses_what_a_database_cannot_hold() -> None:
    body = '{"output": {"choices": [{"message": {"role":"assistant","content": [{"text": "a\\u0000b\\ud800c"}]}}]}}'
    with replying("200 OK", body) as base_url:
        answer = load_client("dashscope", base_url=base_url).ask(question(), api_key=KEY, timeout_seconds=30)
    assert answer.text == "abc"


def test_proxy_of_the_environment_is_used_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    with replying("200 OK", "", *(f"X-{each}: 1" for each in range(100)), pause=0.05) as proxy:
        monkeypatch.setenv("http_proxy", proxy.removesuffix("/api/v1"))
        client = load_client("dashscope", base_url="http://dashscope.invalid/api/v1")
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            client.ask(question(), api_key=KEY, timeout_seconds=0.4)
    assert time.monotonic() - started < 4


def test_netrc_does_not_replace_the_key(
    simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    load_client("dashscope", base_url=simulator.base_url).ask(question(), api_key=KEY, timeout_seconds=30)
    assert simulator.captured[-1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key, in one PEM file."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    draft = draft.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = draft.add_extension(address, critical=False).sign(private, hashes.SHA256())
    spelled = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "server.pem"
    path.write_bytes(spelled + signed.public_bytes(serialization.Encoding.PEM))
    return path


SOUND = '{"output": {"choices": [{"message": {"role":"assistant","content": [{"text": "words"}]}}]}}'


def test_tls_is_spoken_to_a_server_with_a_trusted_certificate(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with replying("200 OK", SOUND, certificate=certificate) as base_url:
        client = load_client("dashscope", base_url=base_url)
        assert client.ask(question(), api_key=KEY, timeout_seconds=30).text == "words"


def test_tls_reply_that_trickles_is_cut_off_in_time(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    headers = [f"X-{each}: 1" for each in range(100)]
    with replying("200 OK", SOUND, *headers, pause=0.05, certificate=certificate) as base_url:
        client = load_client("dashscope", base_url=base_url)
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            client.ask(question(), api_key=KEY, timeout_seconds=0.5)
    assert time.monotonic() - started < 4


def test_tls_server_that_nobody_vouches_for_gets_no_question(certificate: Path) -> None:
    with replying("200 OK", SOUND, certificate=certificate) as base_url:
        client = load_client("dashscope", base_url=base_url)
        with pytest.raises(ProviderUnreachable, match="SSLError"):
            client.ask(question(), api_key=KEY, timeout_seconds=30)


def test_many_threads_share_kept_open_connections() -> None:
    with running_simulator(latency=Latency(median_seconds=0.02)) as simulator:
        client = load_client("dashscope", base_url=simulator.base_url, connections=16)
        with ThreadPoolExecutor(16) as threads:
            keys = [f"sk-{each:06}" for each in range(16)] * 10
            answers = list(threads.map(lambda key: client.ask(question(), api_key=key, timeout_seconds=10), keys))
        stats = simulator.stats()
    assert len({answer.request_id for answer in answers}) == 160
    assert stats["requests"] == 160
    assert stats["connections"] <= 16
    assert {tuple(outcomes.items()) for outcomes in stats["by_key"].values()} == {(("ok", 10),)}


@pytest.mark.parametrize(
    ("status", "code", "message", "failure"),
    [
        (429, "limit_requests", "", RateLimited),
        (429, "LIMIT_BURST_RATE", "", BurstLimited),
        (429, "insufficient_quota", "tokens a minute", TokenLimited),
        (429, "insufficient_quota", "Free allocated quota exceeded", Unpaid),
        (429, "Unknown", "", RateLimited),
        (403, "AllocationQuota.FreeTierOnly", "", Unpaid),
        (403, "AccessDenied.Unpurchased", "", Unpaid),
        (403, "Workspace.AccessDenied", "", KeyRevoked),
        (401, "SomethingNew", "", KeyRevoked),
        (401, "Unknown", "", ProviderFailed),
        (401, "401", "", ProviderFailed),
        (403, "", "Forbidden", ProviderFailed),
        (402, "", "", ProviderFailed),
        (404, "", "", ProviderFailed),
        (407, "", "", ProviderFailed),
        (400, "BadRequest.TooLarge", "", QuestionRejected),
        (413, "", "", QuestionRejected),
        (408, "", "", ModelTimedOut),
        (500, "InternalError.Algo", "", ProviderFailed),
        (500, "ModelServingError", "", ModelOverloaded),
        (503, "ModelUnavailable", "", ModelOverloaded),
        (503, "SomethingNew", "", ModelOverloaded),
        (503, "", "", ProviderFailed),
        (503, "503", "", ProviderFailed),
        (503, "Unknown", "Service Unavailable", ProviderFailed),
        (500, "", "", ProviderFailed),
        (599, "", "", ProviderFailed),
    ],
)
def test_failure_of_a_refusal(status: int, code: str, message: str, failure: type[UnableToAssess]) -> None:
    assert failure_of(status, code, message) == failure


def test_failures_say_whom_they_concern_and_whether_to_ask_again() -> None:
    told = {each.reason: (each.scope, each.retryable) for _kind, each, _reason in FAILURES if each is not UnknownModel}
    assert told == {
        "rate_limited": (Scope.ACCOUNT, True),
        "burst_limited": (Scope.ACCOUNT, True),
        "token_limited": (Scope.ACCOUNT, True),
        "billing": (Scope.ACCOUNT, True),
        "revoked": (Scope.KEY, True),
        "forbidden": (Scope.KEY, True),
        "blocked": (Scope.QUESTION, False),
        "bad_request": (Scope.QUESTION, False),
        "provider_error": (Scope.PROVIDER, True),
        "overloaded": (Scope.MODEL, True),
        "timeout": (Scope.PROVIDER, True),
        "unreachable": (Scope.PROVIDER, True),
        "empty_response": (Scope.QUESTION, True),
    }
