"""The processes of a fleet, counted, started by hand, and as supervisor is told of them."""

from __future__ import annotations

import configparser
import runpy
import shlex
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from trafficmon.core.kinds import Kind, UnusableCountError, check_processes, check_threads, read_counts
from workers import supervision
from workers.fleet import Sizes, effective, processes_of, stop_seconds
from workers.queues import Queue


@pytest.fixture
def has_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.ENVIRONMENT, "flower_password", SecretStr("pass word"))


def test_flower_does_not_start_without_a_password() -> None:
    with pytest.raises(SystemExit, match="set ALGO_FLOWER_PASSWORD"):
        runpy.run_path("flowerconfig.py")


def test_flower_is_told_its_password(has_flower: None) -> None:
    assert runpy.run_path("flowerconfig.py")["basic_auth"] == ["flower:pass word"]


@pytest.mark.parametrize("words", [("status",), ("stop",), ("restart",)])
def test_where_supervisor_does_not_run_the_fleet_says_how_it_is_run_there(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "supervisor.xmlrpc", None)
    with pytest.raises(CommandError, match=r"^On Windows .*Ctrl-C"):
        call_command("fleet", *words)


def read(sizes: Sizes) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(supervision.configuration(sizes))
    return parser


def words_after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_counts_are_read_as_they_are_written() -> None:
    assert read_counts("detection=2, web = 3,") == {"detection": "2", "web": "3"}
    assert read_counts("") == {}
    with pytest.raises(UnusableCountError, match=r"^name counts as in detection=2,assessment=4$"):
        read_counts("detection")


@pytest.mark.parametrize(
    ("kind", "count", "reason"),
    [
        (Kind.BEAT, 2, "beat may be 0 to 1"),
        (Kind.FLOWER, 2, "flower may be 0 to 1"),
        (Kind.METRICS, 2, "metrics may be 0 to 1"),
        (Kind.DETECTION, -1, "detection may be 0 to 64"),
    ],
)
def test_impossible_numbers_of_processes_are_refused(kind: Kind, count: int, reason: str) -> None:
    with pytest.raises(UnusableCountError, match=f"^{reason}$"):
        check_processes({kind: count})


def test_threads_are_those_of_workers() -> None:
    with pytest.raises(UnusableCountError, match=r"^web has no threads to count: assessment, detection, results have$"):
        check_threads({Kind.WEB: 2})
    with pytest.raises(UnusableCountError, match=r"^detection may have 1 to 1000$"):
        check_threads({Kind.DETECTION: 0})


def test_everything_runs_once_and_flower_only_with_a_password() -> None:
    assert effective(Sizes()).kinds() == [each for each in Kind if each is not Kind.FLOWER]


def test_options_go_before_settings(monkeypatch: pytest.MonkeyPatch, has_flower: None) -> None:
    monkeypatch.setattr(settings.ENVIRONMENT, "fleet_processes", {Kind.DETECTION: 2, Kind.WEB: 2})
    monkeypatch.setattr(settings.ENVIRONMENT, "fleet_threads", {Kind.ASSESSMENT: 64})
    sizes = effective(Sizes({Kind.DETECTION: 4}))
    assert [sizes.count(each) for each in (Kind.DETECTION, Kind.WEB, Kind.FLOWER)] == [4, 2, 1]
    assert sizes.threads == {Kind.ASSESSMENT: 64}


def test_each_queue_has_its_worker_and_each_worker_its_name() -> None:
    sizes = Sizes({Kind.ASSESSMENT: 2}, {Kind.ASSESSMENT: 7})
    workers = [each for each in processes_of(sizes) if "worker" in each.command]
    consumed = {queue for each in workers for queue in words_after(list(each.command), "--queues").split(",")}
    assert consumed == set(Queue)
    named = {each.name: words_after(list(each.command), "--hostname") for each in workers}
    assert named["assessment-2"] == "assessment-2@%h"
    assert len(set(named.values())) == len(workers) == 4
    assert [words_after(list(each.command), "--concurrency") for each in workers] == ["5", "7", "7", "2"]


def test_web_and_flower_come_last_once_the_others_work() -> None:
    processes = processes_of(Sizes({Kind.WEB: 2}), web_after=("wait",))
    assert [each.name for each in processes if each.after] == ["web", "flower"]
    assert [each.name for each in processes][-2:] == ["web", "flower"]


def test_supervisor_is_told_of_every_process_and_of_no_secret(has_flower: None) -> None:
    told = read(effective(Sizes({Kind.DETECTION: 3, Kind.BEAT: 0})))
    programs = {name.partition(":")[2]: dict(told[name]) for name in told.sections() if "program:" in name}
    assert list(programs) == [each.value for each in Kind if each is not Kind.BEAT]
    assert programs["detection"]["numprocs"] == "3"
    command = shlex.split(programs["detection"]["command"] % {"process_num": 2})
    assert words_after(command, "--hostname") == "detection-2@%h"
    assert [int(each["priority"]) for each in programs.values()] == sorted(
        int(each["priority"]) for each in programs.values()
    )
    assert "pass word" not in supervision.configuration(effective(Sizes()))


def test_web_processes_share_one_socket_and_have_one_each(has_flower: None) -> None:
    web = read(Sizes({Kind.WEB: 2}))["fcgi-program:web"]
    assert web["socket"] == f"tcp://{settings.ENVIRONMENT.server_host}:{settings.ENVIRONMENT.server_port}"
    command = shlex.split(web["command"] % {"process_num": 2})
    assert (words_after(command, "--fd"), words_after(command, "--unix-socket")) == (
        "0",
        str(supervision.web_socket(2)),
    )


def test_assessment_has_the_time_of_a_whole_call_to_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.ENVIRONMENT, "llm_timeout", 45.0)
    assert (stop_seconds(Kind.ASSESSMENT), stop_seconds(Kind.DETECTION)) == (70, 20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_command_runs_in_the_place_of_what_binds_it_to_its_parent() -> None:
    say = (sys.executable, "-c", "import os; print(os.getpid())")
    with subprocess.Popen([sys.executable, "-m", "trafficmon.core.lifetime", *say], stdout=subprocess.PIPE) as process:
        said, _errors = process.communicate(timeout=20)
    assert int(said) == process.pid
