"""Charts as inline SVG, drawn here so that a report needs nothing else. Colours come from the page's classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

WIDTH, LEFT, RIGHT, TOP, AXIS = 960.0, 76.0, 22.0, 12.0, 26.0
INSET = 10.0
MOST_COLUMNS = 120
MARK_RADIUS = 6.5
"""Less where many marks share the row; the gravest are drawn last."""
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at one moment: `row` is its row of the chart from below, `kind` the class that colours it."""

    seconds: float
    row: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts, drawn as a bar in the row above the marks."""

    begin_seconds: float
    end_seconds: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one kind, one for each sample."""

    kind: str
    label: str
    counts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plane that a chart is drawn on."""

    seconds: float
    height: float

    @property
    def bottom(self) -> float:
        return self.height - AXIS

    def x(self, seconds: float) -> float:
        """Where a moment is drawn, in the chart's units from the left; what lies beyond the end is drawn there."""
        return LEFT + INSET + (WIDTH - LEFT - INSET - RIGHT) * min(seconds / self.seconds, 1.0)


def clock(seconds: float, *, digits: int = 0) -> str:
    """`1:05`, `1:02:05`, or with a fraction `0:05.5`."""
    whole = round(seconds, digits)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(int(minutes), 60)
    width = 3 + digits if digits else 2
    ending = f"{rest:0{width}.{digits}f}"
    return f"{hours}:{minutes:02d}:{ending}" if hours else f"{minutes}:{ending}"


def counts_chart(times: Sequence[float], series: Sequence[Series], *, seconds: float, title: str) -> SafeString:
    """Stacked columns of `series` over the samples at `times`; many samples are averaged into one column."""
    plane = _Frame(max(seconds, 0.1), 260.0)
    columns = _columns(times, series)
    highest = max((sum(column.values()) for _begin, _end, column in columns), default=0)
    scale = _count_steps(highest)
    body = format_html_join("", "{}", ((_column(plane, column, series, scale[-1]),) for column in columns))
    return _svg(plane, title, [_count_axis(plane, scale), body, _time_axis(plane)])


def risk_chart(
    rows: Sequence[tuple[str, str]], marks: Iterable[Mark], spans: Iterable[Span], *, seconds: float, title: str
) -> SafeString:
    """Marks on named rows (kind, label; from below) over time, and above them what lasted."""
    bars = _stacked(spans)
    lanes = max((lane for lane, _span in bars), default=-1) + 1
    top = TOP + lanes * 14 + (8 if lanes else 0)
    plane = _Frame(max(seconds, 0.1), top + len(rows) * 30 + AXIS)
    drawn = [_row(plane, place, kind, label) for place, (kind, label) in enumerate(rows)]
    drawn += [_span(plane, lane, span) for lane, span in bars]
    listed = sorted(marks, key=lambda each: each.row)
    radius = min(MARK_RADIUS, max(1.5, (WIDTH - LEFT) / 2 / max(len(listed), 1)))
    drawn += [_mark(plane, mark, radius) for mark in listed]
    return _svg(plane, title, [*drawn, _time_axis(plane)])


def _svg(plane: _Frame, title: str, parts: Iterable[SafeString]) -> SafeString:
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>',
        _px(WIDTH),
        _px(plane.height),
        title,
        title,
        format_html_join("", "{}", ((part,) for part in parts)),
    )


def _columns(times: Sequence[float], series: Sequence[Series]) -> list[tuple[float, float, dict[str, float]]]:
    """Begin, end and mean counts of each column."""
    size = max(1, math.ceil(len(times) / MOST_COLUMNS))
    spacing = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    ends = [*times[size::size], times[-1] + spacing] if times else []
    return [
        (times[start], end, {each.kind: fmean(each.counts[start : start + size]) for each in series})
        for start, end in zip(range(0, len(times), size), ends, strict=True)
    ]


def _column(
    plane: _Frame, column: tuple[float, float, Mapping[str, float]], series: Sequence[Series], highest: float
) -> SafeString:
    begin, end, counts = column
    left = plane.x(begin)
    width = max(1.0, (plane.x(end) - left) * 0.86)
    parts, level = [], plane.bottom
    for each in series:
        height = (plane.bottom - TOP) * counts[each.kind] / highest
        level -= height
        if height:
            place = (each.kind, _px(left), _px(level), _px(width), _px(height))
            parts.append(format_html('<rect class="fill-{}" x="{}" y="{}" width="{}" height="{}"/>', *place))
    told = ", ".join(f"{each.label} {counts[each.kind]:.3g}" for each in series if counts[each.kind])
    return format_html(
        "<g><title>{}: {}</title>{}</g>",
        clock(begin, digits=1),
        told or _("nothing"),
        format_html_join("", "{}", ((part,) for part in parts)),
    )


def _count_steps(highest: float) -> list[float]:
    """Whole numbers for the axis, about four, from 0 to at least `highest`."""
    most = max(1, math.ceil(highest))
    step = max(1, math.ceil(most / 4))
    magnitude = 10 ** int(math.log10(step))
    step = next(each * magnitude for each in (1, 2, 3, 5, 10) if each * magnitude >= step)
    return [float(value) for value in range(0, most + step, step)]


def _count_axis(plane: _Frame, scale: Sequence[float]) -> SafeString:
    lines = []
    for value in scale:
        y = plane.bottom - (plane.bottom - TOP) * value / scale[-1]
        lines.append(_line_across(y, f"{value:g}"))
    return format_html_join("", "{}", ((line,) for line in lines))


def _line_across(y: float, label: str) -> SafeString:
    return format_html(
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick end" x="{}" y="{}">{}</text>',
        _px(LEFT),
        _px(WIDTH - RIGHT),
        _px(y),
        _px(y),
        _px(LEFT - 8),
        _px(y + 4),
        label,
    )


def _time_axis(plane: _Frame) -> SafeString:
    step = next((each for each in _STEPS if plane.seconds / each <= 10), _STEPS[-1])
    digits = 1 if step < 1 else 0
    ticks = [count * step for count in range(int(plane.seconds / step + 1e-9) + 1)]
    return format_html_join(
        "",
        '<text class="tick middle" x="{}" y="{}">{}</text>',
        ((_px(plane.x(each)), _px(plane.height - 6), clock(each, digits=digits)) for each in ticks),
    )


def _row_middle(plane: _Frame, row: int) -> float:
    return plane.bottom - 15 - 30 * row


def _row(plane: _Frame, place: int, kind: str, label: str) -> SafeString:
    y = _row_middle(plane, place)
    return format_html('<g class="row-{}">{}</g>', kind, _line_across(y, label))


def _mark(plane: _Frame, mark: Mark, radius: float) -> SafeString:
    place = (mark.kind, _px(plane.x(mark.seconds)), _px(_row_middle(plane, mark.row)), _px(radius), mark.title)
    return format_html('<circle class="mark fill-{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>', *place)


def _stacked(spans: Iterable[Span]) -> list[tuple[int, Span]]:
    """Each span with the first lane in which nothing else is at that time."""
    ends: list[float] = []
    placed = []
    for span in sorted(spans, key=lambda each: each.begin_seconds):
        lane = next((lane for lane, end in enumerate(ends) if end < span.begin_seconds), len(ends))
        ends[lane : lane + 1] = [span.end_seconds]
        placed.append((lane, span))
    return placed


def _span(plane: _Frame, lane: int, span: Span) -> SafeString:
    left = plane.x(span.begin_seconds) - 5
    width = plane.x(span.end_seconds) + 5 - left
    place = (span.kind, _px(left), _px(TOP + lane * 14), _px(width), span.title)
    return format_html(
        '<rect class="span fill-{}" x="{}" y="{}" width="{}" height="10" rx="5"><title>{}</title></rect>', *place
    )


def _px(value: float) -> str:
    """A number as SVG wants it, whatever the language's decimal sign."""
    return f"{value:.1f}".removesuffix(".0")
