"""The stand-in is as strict as the provider, judges by the boxes alone, and misbehaves as told."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import requests

from assessment.configuration import RiskThresholds
from assessment.parse import parse_answer
from assessment.prompt import GroupFacts, build_question
from assessment.risk import RiskLevel, RiskType
from assessment.simulator import Growth, Latency, RunningSimulator, SimulatorOptions, counts, running_simulator
from assessment.simulator.__main__ import read_options
from assessment.simulator.judgement import HIGH_EVERY, Judge
from assessment.simulator.pictures import NotAPicture, picture_size, picture_tokens
from tests.simulator_requests import BLANK, JPEG, NEAR_PEDESTRIAN, PATH, body, facts, post, uri
from trafficmon.core.geometry import Box
from trafficmon.core.objects import ObjectClass

pytestmark = pytest.mark.integration
PNG = cv2.imencode(".png", BLANK)[1].tobytes()
FAR_APART = ((ObjectClass.CAR, Box(0, 0, 40, 40)), (ObjectClass.CAR, Box(400, 300, 460, 340)))


def with_image(image: str) -> dict[str, Any]:
    request = body()
    request["input"]["messages"][1]["content"][0]["image"] = image
    return request


@pytest.fixture(scope="module")
def shared() -> Iterator[RunningSimulator]:
    """For tests that leave no trace in it."""
    with running_simulator(latency=Latency(median_seconds=0)) as running:
        yield running


@pytest.fixture
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator(latency=Latency(median_seconds=0)) as running:
        yield running


def test_reply_has_the_documented_shape(shared: RunningSimulator) -> None:
    reply = post(shared, body())
    told = reply.json()
    assert reply.status_code == 200
    assert set(told) == {"output", "usage", "request_id"}
    (choice,) = told["output"]["choices"]
    assert (choice["finish_reason"], choice["message"]["role"]) == ("stop", "assistant")
    assert list(choice["message"]["content"][0]) == ["text"]
    usage = told["usage"]
    assert usage["image_tokens"] == 20 * 11 + 2
    assert usage["input_tokens"] == usage["image_tokens"] + usage["input_tokens_details"]["text_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@pytest.mark.parametrize(
    ("request_body", "status", "code"),
    [
        (body(model="llava"), 404, "ModelNotFound"),
        (body(model="qwen-vl"), 404, "ModelNotFound"),
        ({"model": "qwen-vl-plus"}, 400, "InvalidParameter"),
        (body(input={"messages": []}), 400, "InvalidParameter"),
        (body(input={"messages": [{"role": "user", "content": "json"}]}), 400, "InvalidParameter"),
        (body(input={"messages": [{"role": "robot", "content": [{"text": "json"}]}]}), 400, "InvalidParameter"),
        (body(input={"messages": [{"role": "user", "content": [{"text": "hello"}]}]}), 400, "InvalidParameter"),
        (body(parameters={"temperature": 2}), 400, "InvalidParameter"),
        (body(parameters={"max_tokens": 0}), 400, "InvalidParameter"),
        (body(parameters={"unheard_of": 1}), 400, "InvalidParameter"),
        ([1], 400, "InvalidParameter"),
        (with_image("/etc/passwd"), 400, "InvalidURL"),
        (with_image("file:///etc/passwd"), 400, "InvalidURL"),
        (with_image("data:image/jpeg;base64,?"), 400, "InvalidParameter.DataInspection"),
        (with_image(uri(b"GIF89a" + bytes(40))), 400, "InvalidParameter"),
        (with_image(uri(JPEG[:-200])), 400, "InvalidParameter"),
        (with_image(uri(cv2.imencode(".png", BLANK[:8, :8])[1].tobytes(), "png")), 400, "InvalidParameter"),
    ],
)
def test_wrong_request_is_refused_as_the_provider_does(
    shared: RunningSimulator, request_body: object, status: int, code: str
) -> None:
    reply = post(shared, request_body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert set(reply.json()) == {"code", "message", "request_id"}


def test_json_mode_needs_the_word(shared: RunningSimulator) -> None:
    request = body(input={"messages": [{"role": "user", "content": [{"text": "hello"}]}]})
    assert "must contain the word 'json'" in post(shared, request).json()["message"]
    del request["parameters"]
    assert post(shared, request).status_code == 200


@pytest.mark.parametrize("model", ["qwen3-vl-plus", "qwen3-vl-plus-2025-12-19", "qwen-vl-max-latest", "qwen3.7-flash"])
def test_current_models_and_their_snapshots_are_known(shared: RunningSimulator, model: str) -> None:
    assert post(shared, body(model=model)).status_code == 200


def test_png_is_a_picture_too(shared: RunningSimulator) -> None:
    assert post(shared, with_image(uri(PNG, "png"))).json()["usage"]["image_tokens"] == 222


def test_data_uri_over_20_megabytes_is_refused(shared: RunningSimulator) -> None:
    reply = post(shared, with_image("data:image/jpeg;base64," + "A" * (20 * 1024 * 1024)))
    assert (reply.status_code, reply.json()["code"]) == (400, "BadRequest.TooLarge")


@pytest.mark.parametrize("key", ["", "nonsense"])
def test_key_must_look_like_one(shared: RunningSimulator, key: str) -> None:
    reply = post(shared, body(), key=key)
    assert (reply.status_code, reply.json()["code"]) == (401, "InvalidApiKey")


def test_only_listed_keys_are_accepted() -> None:
    with running_simulator(latency=Latency(median_seconds=0), keys=("sk-good",)) as simulator:
        assert [post(simulator, body(), key=key).status_code for key in ("sk-good", "sk-bad")] == [200, 401]


def test_stream_is_refused(shared: RunningSimulator) -> None:
    assert post(shared, body(), **{"X-DashScope-SSE": "enable"}).status_code == 400


@pytest.mark.parametrize(
    ("width", "height", "model", "tokens"),
    [
        (224, 224, "qwen3-vl-plus", 51),
        (640, 640, "qwen3-vl-plus", 402),
        (1280, 720, "qwen3-vl-plus", 40 * 22 + 2),
        (20, 20, "qwen3-vl-plus", 4),
        (4000, 3000, "qwen3-vl-plus", 58 * 43 + 2),
        (4000, 3000, "qwen-vl-plus", 41 * 30 + 2),
        (224, 224, "qwen2.5-vl", 66),
    ],
)
def test_picture_costs_what_is_documented(width: int, height: int, model: str, tokens: int) -> None:
    assert picture_tokens(width, height, model) == tokens


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_picture_size_is_read_from_the_file(extension: str) -> None:
    picture = cv2.imencode(extension, np.zeros((37, 111, 3), np.uint8))[1].tobytes()
    assert picture_size(picture) == (111, 37)
    for cut in range(0, len(picture) - 20, 7):
        with pytest.raises(NotAPicture):
            picture_size(picture[:cut])


def ask(judge: Judge, scene: GroupFacts, language: str = "en") -> dict[str, Any]:
    asked = build_question(scene, [], model="m", language=language, template="default-v3")
    answer: dict[str, Any] = json.loads(judge.answer(asked.system, asked.text)[0])
    return answer


def test_judge_says_none_of_vehicles_far_apart() -> None:
    assert ask(Judge(1), facts(*FAR_APART))["maxRiskLevel"] == "none"


def test_judge_names_those_involved_in_the_language_of_the_prompt() -> None:
    answers = [ask(Judge(seed), facts(*NEAR_PEDESTRIAN), "zh-hans") for seed in range(20)]
    risky = [answer["results"][0] for answer in answers if answer["maxRiskLevel"] in {"medium", "high"}]
    assert risky
    assert {(each["type"], tuple(each["triggerObjectIds"]), *each["riskTypes"]) for each in risky} == {
        ("pedestrian_conflict", (0, 1), "人车冲突")
    }


def test_judge_says_the_same_of_the_same_scene() -> None:
    assert ask(Judge(7), facts(*NEAR_PEDESTRIAN)) == ask(Judge(7), facts(*NEAR_PEDESTRIAN))


def test_judge_raises_few_alarms_even_in_a_crowd_of_conflicts() -> None:
    judge = Judge(3)
    levels = Counter(ask(judge, facts(*NEAR_PEDESTRIAN, tracks=each))["maxRiskLevel"] for each in range(240))
    assert 5 <= levels["high"] <= 240 / HIGH_EVERY + 1
    assert set(levels) <= set(RiskLevel)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_answer_of_the_judge_is_readable_and_keeps_its_level_and_type(language: str) -> None:
    rng = np.random.default_rng(5)
    judge = Judge(5)
    kinds = list(ObjectClass)
    for _ in range(150):
        corners = rng.uniform(0, [560, 300], (int(rng.integers(2, 9)), 2))
        boxes = [Box(x, y, x + rng.uniform(10, 80), y + rng.uniform(10, 60)) for x, y in corners]
        objects = [(kinds[int(rng.integers(0, 6))], box) for box in boxes]
        answer = ask(judge, facts(*objects), language)
        (verdict,) = parse_answer(json.dumps(answer), asked=frozenset({1}), thresholds=RiskThresholds())
        told = answer["results"][0]
        assert (verdict.level, verdict.type) == (told["riskLevel"], RiskType(told["type"]))


def test_judge_without_a_scene_cannot_tell() -> None:
    text, level = Judge(0).answer("", "what do you see? <scene>{</scene>")
    assert (level, json.loads(text)["results"][0]["confidence"]) == ("low", 0.3)


@pytest.mark.parametrize("kind", ["fenced", "wrapped", "commented", "broken_json"])
def test_spoiled_answer_is_still_read(simulator: RunningSimulator, kind: str) -> None:
    def verdict() -> tuple[RiskLevel, RiskType]:
        text = post(simulator, body()).json()["output"]["choices"][0]["message"]["content"][0]["text"]
        (read,) = parse_answer(text, asked=frozenset({1}), thresholds=RiskThresholds())
        return read.level, read.type

    sound = verdict()
    simulator.control(kind=kind, count=1)
    assert verdict() == sound


def test_fault_lasts_for_its_count_and_key(simulator: RunningSimulator) -> None:
    simulator.control(faults=[{"kind": "rate_limit", "count": 2, "key_ending": "-a"}])
    statuses = [post(simulator, body(), key=key).status_code for key in ("sk-b", "sk-a", "sk-a", "sk-a")]
    assert statuses == [200, 429, 429, 200]


def test_fault_concerns_its_account_and_its_model() -> None:
    keys = ("sk-1@acct-a", "sk-2@acct-a", "sk-3")
    with running_simulator(latency=Latency(median_seconds=0), keys=keys) as simulator:
        simulator.control(faults=[{"kind": "arrearage", "account": "acct-a", "model": "qwen-vl-plus"}])
        statuses = [post(simulator, body(), key=key).status_code for key in ("sk-1", "sk-2", "sk-3")]
        assert statuses == [400, 400, 200]
        assert post(simulator, body(model="qwen-vl-max"), key="sk-1").status_code == 200
        simulator.control(faults=[{"kind": "error", "account": "…sk-3"}])
        assert post(simulator, body(), key="sk-3").status_code == 500


def test_revoked_key_is_refused_until_it_is_restored(simulator: RunningSimulator) -> None:
    simulator.control(revoke=["-a", "-b"])
    assert [post(simulator, body(), key=key).status_code for key in ("sk-a", "sk-b", "sk-c")] == [401, 401, 200]
    simulator.control(restore=["-a"])
    assert [post(simulator, body(), key=key).status_code for key in ("sk-a", "sk-b")] == [200, 401]
    simulator.control(restore=[""], revoke=["-c"])
    assert [post(simulator, body(), key=key).status_code for key in ("sk-b", "sk-c")] == [200, 401]
    simulator.control(reset=True)
    assert post(simulator, body(), key="sk-c").status_code == 200
    assert simulator.stats()["outcomes"] == {"ok": 4, "InvalidApiKey": 4}


def test_body_that_comes_again_is_told_from_another(simulator: RunningSimulator) -> None:
    for request in (body(), body(), body(model="qwen-vl-max")):
        post(simulator, request)
    told = simulator.stats()
    assert (told["requests"], told["ended"], told["bodies"]) == (3, 3, 2)


def test_bodies_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "REMEMBERED_BODIES", 2)
    bodies = counts.Bodies()
    for each in (b"a", b"b", b"b", b"c", b"c", b"a"):
        bodies.note(each)
    assert bodies.count == 4


def test_fault_lasts_for_its_time(simulator: RunningSimulator) -> None:
    simulator.control(kind="error", seconds=1.5)
    assert post(simulator, body()).status_code == 500
    deadline = time.monotonic() + 60
    while post(simulator, body()).status_code == 500:
        assert time.monotonic() < deadline
    assert post(simulator, body()).status_code == 200


def test_fault_of_half_probability_hits_about_half(simulator: RunningSimulator) -> None:
    simulator.control(kind="overloaded", probability=0.5)
    statuses = Counter(post(simulator, body()).status_code for _ in range(60))
    assert set(statuses) == {200, 503}
    assert 15 <= statuses[503] <= 45


def test_reset_ends_every_fault(simulator: RunningSimulator) -> None:
    simulator.control(kind="revoked")
    assert post(simulator, body()).status_code == 401
    simulator.control(reset=True)
    assert post(simulator, body()).status_code == 200


def test_latency_can_be_changed_while_it_runs(simulator: RunningSimulator) -> None:
    simulator.control(latency={"median_seconds": 0.25})
    started = time.monotonic()
    post(simulator, body())
    assert time.monotonic() - started >= 0.25


@pytest.mark.parametrize("order", [{"kind": "explode"}, {"latency": {"median_seconds": -1}}, {"speed": 3}])
def test_order_it_does_not_know_is_refused(simulator: RunningSimulator, order: dict[str, Any]) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        simulator.control(**order)


def test_order_that_is_not_json_is_refused(simulator: RunningSimulator) -> None:
    assert requests.post(f"{simulator.origin}/_control", data="{}", timeout=30).status_code == 403


def test_stats_count_by_key_and_outcome_without_the_key(simulator: RunningSimulator) -> None:
    simulator.control(kind="rate_limit", count=1)
    for _ in range(2):
        post(simulator, body(), key="sk-very-secret-000001")
    told = requests.get(f"{simulator.origin}/_stats", timeout=30).json()
    assert (told["requests"], told["in_flight"]) == (2, 0)
    assert told["outcomes"] == {"ok": 1, "Throttling.RateQuota": 1}
    assert told["by_key"] == {"…000001": {"ok": 1, "Throttling.RateQuota": 1}}


def test_rubbish_option_spoils_answers_now_and_then() -> None:
    with running_simulator(latency=Latency(median_seconds=0), rubbish=0.5) as simulator:
        texts = [
            post(simulator, body()).json()["output"]["choices"][0]["message"]["content"][0]["text"] for _ in range(30)
        ]
    sound = sum(text.startswith("{") for text in texts)
    assert 4 <= sound <= 26


def test_latency_is_lognormal_where_it_has_a_spread() -> None:
    rng = random.Random(1)
    drawn = sorted(Latency(median_seconds=2, sigma=0.5).draw(rng) for _ in range(2001))
    assert 1.8 < drawn[1000] < 2.2
    assert drawn[1950] / drawn[1000] > 2
    assert Latency(median_seconds=2).draw(rng) == 2


def test_command_serves_and_ends_on_a_taken_port() -> None:
    with running_simulator() as other:
        command = [sys.executable, "-m", "assessment.simulator", "--port", str(other.port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"The simulator cannot listen on 127.0.0.1:{other.port}: ")
    assert "Traceback" not in ended.stderr


def test_told_to_die_the_command_exits_at_once() -> None:
    command = [sys.executable, "-m", "assessment.simulator", "--port", "0", "--latency", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        origin = process.stdout.readline().split()[-1]
        requests.post(f"{origin}/_control", json={"kind": "die"}, timeout=30).raise_for_status()
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{origin}/api/v1/{PATH}", json=body(), headers={"Authorization": "Bearer sk-1"}, timeout=30)
        assert process.wait(60) == 70


def test_options_are_those_of_the_command() -> None:
    words = "--key a@b --key c --rps 1 --rpm 2 --tpm 3 --in-flight 4 --latency 0.8 --growth 1.5 --growth-free 9"
    growth = Growth(factor=1.5, free=9)
    options = SimulatorOptions(keys=("a@b", "c"), rps=1, rpm=2, tpm=3, in_flight=4, growth=growth)
    assert read_options(words.split()) == options
    assert read_options([]) == SimulatorOptions()
