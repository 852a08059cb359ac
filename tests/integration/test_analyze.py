"""`manage.py analyze` from a video file to its report. None needs Redis, nor the database but to look up who is to
be asked for real."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project_settings
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from assessment.assess import RetryPolicy
from assessment.clients import Answer, ModelTimedOut, Question, RateLimited
from assessment.limiter import NoSlot
from detection.detect import FramePipeline, read_picture
from detection.detections import Detection
from detection.detector import Picture
from tests.clips import write_clip
from tests.factories import NOON, detect
from tests.fakes import FakeDetector, OneByOne
from tests.real_data import JUNCTION, WEIGHTS, needed
from trafficmon.core.objects import ObjectClass
from workers.analysis import preparing
from workers.analysis.analyse import Plan, analyse
from workers.analysis.asking import PATIENCE_SECONDS
from workers.analysis.findings import Analysis, Conditions
from workers.analysis.recording import look_at

CAR_AND_PERSON = (detect(100, 100), detect(130, 100, ObjectClass.PERSON))
IN_FORM = '{"results": [{"groupIndex": 1, "type": "other", "riskLevel": "none"}]}'
ANSWER = Answer(IN_FORM, "qwen", input_tokens=900, output_tokens=40, request_id="r", seconds=1.0)


class Interrupting(OneByOne):
    """A detector during whose nth picture somebody presses Ctrl-C."""

    model = "fake"

    def __init__(self, nth: int) -> None:
        self.left = nth

    def detect(self, picture: Picture) -> tuple[Detection, ...]:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return CAR_AND_PERSON


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four seconds."""
    return write_clip(tmp_path / "clip.mp4")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Path, str, str]]:
    """The command with a detector that always sees a car and a person; its folder and what it said."""

    def run_command(video: Path, *arguments: str, detector: object = FakeDetector(CAR_AND_PERSON)) -> Any:
        monkeypatch.setattr(preparing, "load_detector", lambda _configuration, **_: detector)
        said, warned = io.StringIO(), io.StringIO()
        try:
            call_command(
                "analyze", str(video), "--out", str(tmp_path / "report"), *arguments, stdout=said, stderr=warned
            )
        except SystemExit as ended:
            warned.write(f"exit {ended.code}")
        return tmp_path / "report", said.getvalue(), warned.getvalue()

    return run_command


def document(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    return told


def plan_of(clip: Path, ask: Callable[[Question], Answer], *, detector: Any, cooldown: float = 1.0) -> Plan:
    conditions = Conditions(0.2, "fake", 0.35, 0.5, 150.0, cooldown, "model", asks=True, simulated=False)
    return Plan(
        path=clip,
        recording=look_at(clip, started_at=NOON),
        conditions=conditions,
        pipeline=FramePipeline(detector, project_settings.MODEL_FILE),
        ask=ask,
        retries=RetryPolicy(most=1, first_seconds=0.0),
    )


def analyse_quietly(plan: Plan) -> Analysis:
    return analyse(plan, lambda _progress: None)


def test_recording_is_assessed_by_the_simulator_in_its_own_time(
    run: Callable[..., tuple[Path, str, str]], clip: Path
) -> None:
    folder, said, warned = run(clip, "--simulate", "--start", "2026-05-04T12:00:00Z", "--every", "0.2")
    told = document(folder)
    assert sorted(each.name for each in folder.iterdir()) == [
        *("analysis.json", "assessments.csv", "detections.csv", "report.html"),
    ]
    assert (told["complete"], told["simulated"], len(told["frames"])) == (True, True, 20)
    assert [(each["seconds"], each["status"]) for each in told["assessments"]] == [(0.0, "done"), (3.0, "done")]
    assert told["frames"][1]["timestamp"] == "2026-05-04T12:00:00.200Z"
    assert warned == ""
    assert said.splitlines()[0] == (
        "clip.mp4: a frame every 0.2 s, detected by fake, assessed by qwen-vl-plus, simulated."
    )
    assert said.splitlines()[-1] == f"Report: {folder / 'report.html'}"


def test_report_holds_what_the_tables_hold(run: Callable[..., tuple[Path, str, str]], clip: Path) -> None:
    folder, _said, _warned = run(clip, "--simulate", "--every", "0.5", "--cooldown", "0.5")
    told = document(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    detections = list(csv.DictReader(io.StringIO((folder / "detections.csv").read_text(encoding="utf-8-sig"))))
    descriptions = re.findall(r"<td>(?:<b>.*?</b>)? ?<span class=\"note\">.*?</span><div>(.*?)</div></td>", page)
    assert descriptions == [each["description"] for each in told["assessments"]]
    assert len(detections) == sum(len(each["detectedObjects"]) for each in told["frames"]) == 16
    assert page.count("Assessments are simulated.") == 1


@pytest.mark.django_db
def test_without_a_key_every_assessment_failed_and_it_says_so(
    run: Callable[..., tuple[Path, str, str]], clip: Path
) -> None:
    folder, _said, warned = run(clip)
    told = document(folder)
    assert {(each["status"], each["reason"], each["riskLevel"]) for each in told["assessments"]} == {
        ("failed", "no_key", None)
    }
    assert warned == "No API key is configured: assessments fail. Set DASHSCOPE_API_KEY.\n"
    assert (folder / "report.html").read_text(encoding="utf-8").count("no API key is configured.</strong>") == 1


def test_detection_alone_asks_nobody(run: Callable[..., tuple[Path, str, str]], clip: Path) -> None:
    folder, _said, _warned = run(clip, "--no-assess", "--limit", "1", "--every", "0.5")
    told = document(folder)
    assert [each["seconds"] for each in told["frames"]] == [0.0, 0.52, 1.0]
    assert {each["reason"] for each in told["frames"]} == {"assessment is switched off"}
    assert (told["assessments"], told["conditions"]["assessed"]) == ([], False)


def test_interrupted_analysis_leaves_a_partial_report(run: Callable[..., tuple[Path, str, str]], clip: Path) -> None:
    folder, _said, warned = run(clip, "--simulate", "--every", "0.2", detector=Interrupting(4))
    told = document(folder)
    assert (told["complete"], told["stopped"], len(told["frames"])) == (False, "It was stopped by hand.", 3)
    assert warned == "The report is partial: It was stopped by hand.\nexit 3"
    assert (folder / "report.html").read_text(encoding="utf-8").count("This report is partial.") == 1


def test_interruption_before_the_first_frame_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, clip: Path, tmp_path: Path
) -> None:
    def interrupt(_configuration: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(preparing, "load_detector", interrupt)
    with pytest.raises(CommandError) as raised:
        call_command("analyze", str(clip), "--out", str(tmp_path / "report"))
    assert (str(raised.value), raised.value.returncode) == ("Stopped; no report was written.", 130)
    assert not (tmp_path / "report").exists()


def test_answer_that_never_comes_is_expired_when_interrupted(
    monkeypatch: pytest.MonkeyPatch, clip: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("workers.analysis.analyse.GRACE_SECONDS", 0.1)
    over = threading.Event()
    request.addfinalizer(over.set)

    def never(_question: Question) -> Answer:
        over.wait(20)
        raise ModelTimedOut

    [assessed] = analyse_quietly(plan_of(clip, never, detector=Interrupting(4))).assessed
    assert (assessed.status, assessed.reason, assessed.level) == ("expired", "interrupted", None)


def test_failed_call_is_made_again_as_often_as_allowed(clip: Path) -> None:
    asked: list[str] = []

    def refuse(question: Question) -> Answer:
        asked.append(question.prompt_version)
        raise ModelTimedOut

    analysis = analyse_quietly(plan_of(clip, refuse, detector=FakeDetector(CAR_AND_PERSON), cooldown=60))
    assert [(each.status, each.reason, each.attempts) for each in analysis.assessed] == [("failed", "timeout", 2)]
    assert len(asked) == 2


def test_account_that_may_not_be_asked_more_is_waited_for_without_using_up_attempts(clip: Path) -> None:
    refusals = iter([RateLimited(), NoSlot("rate_limited", 0.01), RateLimited(), RateLimited()])

    def refuse(question: Question) -> Answer:
        for refusal in refusals:
            raise refusal
        return ANSWER

    analysis = analyse_quietly(plan_of(clip, refuse, detector=FakeDetector(CAR_AND_PERSON), cooldown=9))
    assert [(each.status, each.attempts) for each in analysis.assessed] == [("done", 5)]


def test_account_that_is_busy_for_too_long_is_waited_for_no_more(clip: Path) -> None:
    def refuse(question: Question) -> Answer:
        raise NoSlot("cooling", 2 * PATIENCE_SECONDS)

    analysis = analyse_quietly(plan_of(clip, refuse, detector=FakeDetector(CAR_AND_PERSON), cooldown=9))
    assert [(each.status, each.reason, each.attempts) for each in analysis.assessed] == [("failed", "cooling", 1)]


def test_model_is_shown_the_whole_scene_and_the_groups_crop(clip: Path) -> None:
    shown: list[tuple[int, ...]] = []

    def look(question: Question) -> Answer:
        shown.extend(read_picture(picture).shape for picture in question.pictures)
        raise ModelTimedOut

    analyse_quietly(plan_of(clip, look, detector=FakeDetector(CAR_AND_PERSON), cooldown=60))
    assert shown == [(336, 448, 3), (162, 282, 3)] * 2


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda _path: None, "There is no file {path}."),
        (lambda path: path.mkdir(), "{path} is no file."),
        (lambda path: path.write_bytes(b"no video at all"), "{path} cannot be read: {form}"),
        (lambda path: path.write_bytes(b""), "{path} cannot be read: {form}"),
    ],
)
def test_file_that_is_no_recording_is_one_sentence(
    run: Callable[..., tuple[Path, str, str]], tmp_path: Path, prepare: Callable[[Path], object], sentence: str
) -> None:
    path = tmp_path / "broken.mp4"
    prepare(path)
    with pytest.raises(CommandError) as raised:
        run(path)
    form = "What is there is not video in a form that is allowed."
    assert str(raised.value) == sentence.format(path=path, form=form)
    assert not (tmp_path / "report").exists()


def test_recording_of_sound_alone_is_refused(run: Callable[..., tuple[Path, str, str]], tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(CommandError) as raised:
        run(path)
    assert str(raised.value) == f"There is no video in {path}."


def test_missing_weights_are_named(clip: Path, tmp_path: Path) -> None:
    weights = tmp_path / "missing_openvino_model"
    with pytest.raises(CommandError) as raised:
        call_command("analyze", str(clip), "--weights", str(weights), "--out", str(tmp_path / "report"))
    assert str(raised.value).split(":")[0] == f"{weights} is missing"


@pytest.mark.django_db
def test_folder_that_cannot_be_written_is_named_before_anything_is_analysed(
    run: Callable[..., tuple[Path, str, str]], clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(CommandError) as raised:
        run(clip, detector=Interrupting(1))
    assert str(raised.value) == f"The report cannot be written to {tmp_path / 'report'}: File exists."


def test_moment_that_is_none_is_refused(run: Callable[..., tuple[Path, str, str]], clip: Path) -> None:
    with pytest.raises(CommandError) as raised:
        run(clip, "--start", "yesterday")
    assert str(raised.value) == "yesterday is no moment: write it as 2026-05-04T12:00:00+08:00."


def test_prompt_that_cannot_be_used_is_said_before_anything_is_analysed(
    run: Callable[..., tuple[Path, str, str]], clip: Path, settings: Settings, tmp_path: Path
) -> None:
    llm = settings.MODEL_FILE.llm.model_copy(update={"prompt_template": str(tmp_path / "none")})
    settings.MODEL_FILE = settings.MODEL_FILE.model_copy(update={"llm": llm})
    with pytest.raises(CommandError) as raised:
        run(clip, detector=Interrupting(1))
    assert str(raised.value).split(":")[0] == f"The prompt template {tmp_path / 'none' / 'en.txt'} cannot be read"


@pytest.mark.real_data
def test_real_junction_is_analysed_with_real_weights(tmp_path: Path) -> None:
    video, weights = needed(JUNCTION), needed(WEIGHTS)
    said = io.StringIO()
    call_command(
        *("analyze", str(video), "--weights", str(weights), "--simulate", "--cooldown", "0.5"),
        *("--out", str(tmp_path)),
        stdout=said,
    )
    told = document(tmp_path)
    seen = {each["class"] for frame in told["frames"] for each in frame["detectedObjects"]}
    assert {"car", "person", "bicycle"} <= seen
    assert len(told["frames"]) >= 20
    assert {each["status"] for each in told["assessments"]} == {"done"}
    assert (tmp_path / "report.html").stat().st_size < 15_000_000
