"""The report's page, charts, pictures and tables."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from assessment.risk import RiskLevel
from detection.detect import read_picture
from tests.reports import grey_jpeg, make_analysed, make_analysis
from workers.analysis import words
from workers.analysis.annotate import LEVEL_COLOURS, WIDTH_PX, annotate, thumbnail
from workers.analysis.charts import Mark, Series, Span, counts_chart, risk_chart
from workers.analysis.report import facts, figures, render, shown_rows
from workers.analysis.tables import describe, write_tables

FRAMES = [
    make_analysed(1, 0.0, RiskLevel.NONE),
    make_analysed(2, 3.0, RiskLevel.HIGH),
    make_analysed(3, 3.5),
    make_analysed(4, 6.0, reason="timeout"),
]


class _Page(HTMLParser):
    """What a reader and a browser take from a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.banners = re.findall(r'class="banner"[^>]*><strong>([^<]*)</strong>', text)
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]


def parsed(chart: str) -> ET.Element:
    return ET.fromstring(chart)  # noqa: S314  # drawn here


def test_page_needs_nothing_but_itself() -> None:
    page = _Page(render(make_analysis(FRAMES)))
    kinds = {address.partition(",")[0] if address.startswith("data:") else address[:1] for address in page.addresses}
    assert kinds == {"data:image/jpeg;base64", "#"}
    assert {"script", "link", "iframe"} & set(page.tags) == set()


def test_page_links_lead_to_pictures_that_are_there() -> None:
    text = render(make_analysis(FRAMES))
    linked = set(re.findall(r'href="#([^"]+)"', text))
    assert linked == set(re.findall(r'figure id="([^"]+)"', text)) == {f"frame-{number}" for number in (1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("reason", "stopped", "simulated", "expected"),
    [
        ("timeout", "", False, []),
        ("timeout", "", True, ["Assessments are simulated."]),
        ("no_key", "", False, ["Assessments failed: no API key is configured."]),
        ("timeout", "It was stopped by hand.", False, ["This report is partial."]),
    ],
)
def test_page_warns_of_what_its_verdicts_are_worth(
    reason: str, stopped: str, simulated: bool, expected: list[str]
) -> None:
    analysis = make_analysis([make_analysed(1, 0.0, reason=reason)], stopped=stopped, simulated=simulated)
    assert _Page(render(analysis)).banners == expected


def test_page_of_a_recording_that_shows_nothing_is_still_a_page() -> None:
    assert _Page(render(make_analysis([]))).tags[:2] == ["html", "head"]


def test_models_words_are_never_markup() -> None:
    frame = make_analysed(1, 0.0, RiskLevel.HIGH, description="</td><script>alert(1)</script>")
    assert {"script"} & set(_Page(render(make_analysis([frame]))).tags) == set()


def test_chart_is_well_formed_whatever_it_is_told() -> None:
    spans = [Span(0, 1, "high", '"><script>')]
    chart = parsed(risk_chart([("none", "<b>")], [Mark(0, 0, "none", "<i>&")], spans, seconds=1, title="<svg>"))
    assert [title.text for title in chart.iter("title")] == ["<svg>", '"><script>', "<i>&"]


def test_summary_counts_what_has_no_answer_apart() -> None:
    shown = [(each.value, each.label, each.note) for each in figures(make_analysis(FRAMES))]
    assert shown == [
        ("4", "frames analysed", ""),
        ("2.0", "road users in a frame", "at most 2"),
        ("2", "road users followed", ""),
        ("2", "assessments", "1 without an answer"),
        ("high", "highest risk", ""),
        ("1", "alert", ""),
    ]


def test_summary_of_failures_alone_names_no_risk() -> None:
    shown = [(each.value, each.label, each.note) for each in figures(make_analysis([FRAMES[3]]))]
    assert shown[4] == ("–", "highest risk", "nothing was assessed")


def test_facts_tell_how_to_make_it_again() -> None:
    assert dict(facts(make_analysis(FRAMES))) == {
        "Recorded": "2026-05-04 12:00:00 UTC",
        "Length": "0:20.0",
        "Picture": "1280 × 720, h264, 25 fps",
        "Sampled": "every 0.5 s",
        "Detector": "fake",
        "Thresholds": "confidence 0.35, overlap 0.5, groups within 150 px",
        "Model": "qwen-vl-plus, at most every 3 s",
        "Prompt": "default-v3/en@00000000",
        "Analysed": "2026-05-04 12:00 UTC, in 4.0 s",
    }


def test_table_shows_the_gravest_in_the_order_of_time() -> None:
    assessed = make_analysis(FRAMES).assessed
    assert [each.number for each in shown_rows(assessed, most=2)] == [1, 2]
    assert [each.number for each in shown_rows(assessed)] == [1, 2, 4]


def test_columns_stack_to_the_counts_they_show() -> None:
    series = [Series("car", "car", (1, 3)), Series("person", "person", (1, 0))]
    chart = parsed(counts_chart([0.0, 1.0], series, seconds=2.0, title="Counts"))
    columns = [[(rect.get("class"), rect.get("height")) for rect in group.iter("rect")] for group in chart.iter("g")]
    titles = [title.text for title in chart.iter("title")]
    unit = (260 - 26 - 12) / 3
    assert columns == [
        [("fill-car", f"{unit:g}"), ("fill-person", f"{unit:g}")],
        [("fill-car", f"{3 * unit:g}")],
    ]
    assert titles == ["Counts", "0:00.0: car 1, person 1", "0:01.0: car 3"]


def test_many_samples_are_averaged_into_few_columns() -> None:
    times = [number / 2 for number in range(1000)]
    series = [Series("car", "car", tuple(number % 2 for number in range(1000)))]
    chart = parsed(counts_chart(times, series, seconds=500.0, title="Counts"))
    assert len(list(chart.iter("g"))) == 112


def test_alerts_at_the_same_time_have_lanes_of_their_own() -> None:
    spans = [Span(0, 5, "high", "a"), Span(2, 3, "high", "b"), Span(6, 9, "high", "c")]
    chart = parsed(risk_chart([("none", "none")], [], spans, seconds=10, title="Risk"))
    assert [rect.get("y") for rect in chart.iter("rect")] == ["12", "26", "12"]


def test_group_is_drawn_in_the_colour_of_its_risk() -> None:
    frame = make_analysed(1, 0.0, RiskLevel.HIGH)
    drawn = read_picture(annotate(grey_jpeg(), frame, name_object=words.of_object, name_group=words.of_group))
    scale = WIDTH_PX / 1280
    crop = frame.frame.groups[0].crop
    blue, green, red = drawn[round((crop.y1 + crop.y2) / 2 * scale), round(crop.x2 * scale)]
    assert drawn.shape == (540, 960, 3)
    for seen, meant in zip((blue, green, red), LEVEL_COLOURS[RiskLevel.HIGH], strict=True):
        assert abs(int(seen) - meant) < 40


@pytest.mark.parametrize(("width", "height", "expected"), [(1280, 720, (126, 224)), (100, 50, (50, 100))])
def test_thumbnail_fits_the_table_and_is_never_blown_up(width: int, height: int, expected: tuple[int, int]) -> None:
    assert read_picture(thumbnail(grey_jpeg(width, height))).shape[:2] == expected


def test_tables_hold_no_level_where_there_was_no_answer(tmp_path: Path) -> None:
    write_tables(make_analysis(FRAMES, stopped="It was stopped by hand."), tmp_path)
    told = json.loads((tmp_path / "analysis.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "assessments.csv").read_text(encoding="utf-8-sig"))))
    assert (told["complete"], told["stopped"]) == (False, "It was stopped by hand.")
    assert [each["maxRiskLevel"] for each in told["frames"]] == ["none", "high", None, None]
    assert [each["assessmentStatus"] for each in told["frames"]] == ["done", "done", "skipped", "failed"]
    assert [(row["status"], row["reason"], row["riskLevel"]) for row in rows] == [
        ("done", "", "none"),
        ("done", "", "high"),
        ("failed", "timeout", ""),
    ]


def test_detections_have_a_line_each(tmp_path: Path) -> None:
    write_tables(make_analysis(FRAMES[:1]), tmp_path)
    lines = (tmp_path / "detections.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines == [
        "frame,seconds,timestamp,class,confidence,x1,y1,x2,y2,trackId,groupIndex",
        "1,0.0,2026-05-04T12:00:00.000Z,car,0.9,100,200,140,230,1,1",
        "1,0.0,2026-05-04T12:00:00.000Z,car,0.9,150,200,190,230,2,1",
    ]


def test_text_is_no_formula_to_a_spreadsheet(tmp_path: Path) -> None:
    frames = [FRAMES[0], make_analysed(2, 3.0, RiskLevel.HIGH, description='=HYPERLINK("x")')]
    write_tables(make_analysis(frames), tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "assessments.csv").read_text(encoding="utf-8-sig"))))
    assert [row["description"] for row in rows] == ["Too close.", '\'=HYPERLINK("x")']


def test_document_names_what_the_schema_promises() -> None:
    told = describe(make_analysis(FRAMES))
    assert list(told) == [
        *("schema", "complete", "stopped", "simulated", "analysedAt", "tookSeconds"),
        *("recording", "conditions", "frames", "assessments", "alerts"),
    ]
    assert told["alerts"] == [
        {
            "alert": 1,
            "type": "tailgating",
            "riskLevel": "high",
            "description": "Too close.",
            "riskTypes": ["close", "fast"],
            "openedSeconds": 3.0,
            "lastSeenSeconds": 3.0,
            "timesSeen": 1,
            "frames": [2],
        }
    ]


def test_many_marks_are_small_and_the_gravest_drawn_last() -> None:
    marks = [Mark(each, 4 if each == 10 else 1, "high" if each == 10 else "none", "") for each in range(500)]
    chart = parsed(risk_chart([("none", "none")] * 5, marks, [], seconds=500, title="Risk"))
    circles = list(chart.iter("circle"))
    assert circles[-1].get("class") == "mark fill-high"
    assert {circle.get("r") for circle in circles} == {"1.5"}
