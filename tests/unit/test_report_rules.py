"""What of a recording becomes an alert, a picture, a line of progress."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assessment.risk import RiskLevel
from tests.reports import RECORDING, make_analysed
from workers.analysis.album import Album
from workers.analysis.analyse import Cooldown, Progress
from workers.analysis.charts import clock
from workers.analysis.deriving import derive_alerts
from workers.analysis.progress import ProgressLine, describe
from workers.analysis.recording import default_interval


def test_same_danger_in_later_frames_is_one_alert_at_its_highest_level() -> None:
    frames = [
        make_analysed(1, 0.0, RiskLevel.NONE),
        make_analysed(2, 3.0, RiskLevel.MEDIUM),
        make_analysed(3, 6.0, RiskLevel.HIGH),
        make_analysed(4, 9.0, RiskLevel.LOW),
        make_analysed(5, 12.0, reason="timeout"),
    ]
    [alert] = derive_alerts(frames)
    assert (alert.level, alert.opened_seconds, alert.last_seen_seconds) == (RiskLevel.HIGH, 3.0, 6.0)
    assert (alert.times_seen, alert.frame_numbers) == (2, (2, 3))


def test_danger_unseen_for_a_minute_of_the_recording_is_another_alert() -> None:
    frames = [make_analysed(1, 0.0, RiskLevel.HIGH), make_analysed(2, 59.9, RiskLevel.HIGH)]
    assert [each.times_seen for each in derive_alerts(frames)] == [2]
    frames = [make_analysed(1, 0.0, RiskLevel.HIGH), make_analysed(2, 60.0, RiskLevel.HIGH)]
    assert [each.opened_seconds for each in derive_alerts(frames)] == [0.0, 60.0]


def test_failure_is_no_level_and_no_alert() -> None:
    frame = make_analysed(1, 0.0, reason="no_key")
    assert (frame.level_of(1), frame.outcome.status, derive_alerts([frame])) == (None, "failed", ())


def test_album_keeps_the_most_telling_frame_of_each_part() -> None:
    album = Album(duration_seconds=10.0, most=2)
    ranks = {1: (0, 3), 2: (4, 1), 3: (0, 1), 4: (0, 2)}
    for number in ranks:
        album.add(number, number * 2.0, b"%d" % number)
    album.thin(lambda number: ranks[number])
    assert album.pictures() == {2: b"2", 4: b"4"}


def test_album_keeps_what_is_not_ranked_yet() -> None:
    album = Album(duration_seconds=10.0, most=1)
    for number in (1, 2, 3):
        album.add(number, number, b"")
    album.thin(lambda number: None if number == 2 else (0, number))
    assert list(album.pictures()) == [2, 3]


@given(times=st.lists(st.floats(0, 1e6), max_size=60), duration=st.floats(0, 1e5), most=st.integers(1, 9))
def test_album_never_outgrows_its_limit_and_keeps_the_best(times: list[float], duration: float, most: int) -> None:
    album = Album(duration_seconds=duration, most=most)
    for number, seconds in enumerate(times, 1):
        album.add(number, seconds, b"")
    album.thin(lambda number: (number % 4, number))
    kept = album.pictures()
    best = max(range(1, len(times) + 1), key=lambda number: (number % 4, number), default=0)
    assert len(kept) <= most
    assert best in kept or not times


def test_cooldown_counts_the_recordings_seconds() -> None:
    cooldown = Cooldown(3.0)
    assert [cooldown.take_turn(at) for at in (0.0, 2.5, 3.0, 5.5, 6.0)] == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("duration", "fleet", "expected"),
    [(0.0, 1.8, 0.5), (3.0, 1.8, 0.1), (10.0, 1.8, 0.25), (3600.0, 1.8, 0.5), (3600.0, 0.2, 0.2)],
)
def test_default_interval_is_short_enough_for_a_short_clip(duration: float, fleet: float, expected: float) -> None:
    recording = replace(RECORDING, duration_seconds=duration)
    assert default_interval(recording, frame_interval_seconds=fleet) == expected


@pytest.mark.parametrize(
    ("seconds", "digits", "expected"),
    [(0, 0, "0:00"), (65, 0, "1:05"), (59.96, 1, "1:00.0"), (5.5, 1, "0:05.5"), (3725, 0, "1:02:05")],
)
def test_clock_reads_like_a_players(seconds: float, digits: int, expected: str) -> None:
    assert clock(seconds, digits=digits) == expected


@pytest.mark.parametrize(
    ("progress", "total", "elapsed", "expected"),
    [
        (
            Progress(5.0, 10, 4, 3, frozenset()),
            20.0,
            4.0,
            "██████░░░░░░░░░░░░░░░░░░  25%  0:05 / 0:20  10 frames, 3 of 4 answers  0:12 left",
        ),
        (Progress(5.0, 10, 0, 0, frozenset()), 0.0, 4.0, "0:05  10 frames"),
        (
            Progress(21.0, 40, 0, 0, frozenset()),
            20.0,
            9.0,
            "████████████████████████ 100%  0:21 / 0:20  40 frames",
        ),
    ],
)
def test_progress_says_how_far_and_how_long(progress: Progress, total: float, elapsed: float, expected: str) -> None:
    assert describe(progress, total, elapsed_seconds=elapsed) == expected


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_in_one_line_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = _Terminal()
    line = ProgressLine(terminal, total_seconds=20.0)
    line.show(Progress(5.0, 10, 4, 3, frozenset()))
    line.show(Progress(5.1, 11, 4, 3, frozenset()))
    line.clear()
    assert terminal.getvalue() == "\r\x1b[K██████░░░░░░░░░░░░░░░░░░  25%  0:05 / 0\r\x1b[K"


def test_progress_is_quiet_where_nobody_looks() -> None:
    output = io.StringIO()
    line = ProgressLine(output, total_seconds=20.0)
    line.show(Progress(5.0, 10, 4, 3, frozenset()))
    line.clear()
    assert output.getvalue() == ""
