"""What the pipeline costs by cameras, from the benchmark's JSON line: `python -m tests.load.cost_chart < LINE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BASE = 720, 360, 60, 30, 300
COLOURS = {
    "capture": "#2f6fb0",
    "detection": "#d9822b",
    "web": "#3f9a5f",
    "redis": "#b04a5a",
    "results": "#8a6fb0",
    "rtsp_server": "#9aa3ab",
}
MOST_CORES = 2.0


def main() -> None:
    figures = json.loads(sys.stdin.read().splitlines()[-1])
    rows = sorted([*figures["series"], figures], key=lambda row: int(row["cameras"]))
    print("\n".join(chart(rows)))


def chart(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of an SVG with a stacked bar for each row: cores by kind of process, and the 95th percentile above."""
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    yield "<style>text { font-size: 12px }</style>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    for step in range(5):
        cores = step * MOST_CORES / 4
        yield f'<line x1="{LEFT}" x2="{WIDTH - 150}" y1="{_y(cores)}" y2="{_y(cores)}" stroke="#dddddd"/>'
        yield f'<text x="{LEFT - 8}" y="{_y(cores) + 4}" text-anchor="end">{cores:g}</text>'
    yield f'<text x="{LEFT}" y="16">cores taken, of two; above: capture to browser, 95th percentile</text>'
    for place, row in enumerate(rows):
        yield from _bar(LEFT + 20 + place * 95, row)
    for place, (kind, colour) in enumerate(COLOURS.items()):
        yield f'<rect x="{WIDTH - 135}" y="{TOP + place * 22}" width="14" height="14" fill="{colour}"/>'
        yield f'<text x="{WIDTH - 115}" y="{TOP + 11 + place * 22}">{kind.replace("_", " ")}</text>'
    yield "</svg>"


def _bar(x: int, row: dict[str, Any]) -> Iterator[str]:
    below = 0.0
    for kind, colour in COLOURS.items():
        cores = float(row["cpu_cores"].get(kind, 0.0))
        height = _y(below) - _y(below + cores)
        yield f'<rect x="{x}" y="{_y(below + cores):.1f}" width="55" height="{height:.1f}" fill="{colour}"/>'
        below += cores
    late = row["published_seconds"]["p95"]
    yield f'<text x="{x + 27}" y="{_y(below) - 6:.1f}" text-anchor="middle">{late:.2f} s</text>'
    yield f'<text x="{x + 27}" y="{BASE + 18}" text-anchor="middle">{row["cameras"]} cameras</text>'
    if row["stretch"] > 1:
        yield f'<text x="{x + 27}" y="{BASE + 34}" text-anchor="middle">every {1.8 * row["stretch"]:.1f} s</text>'


def _y(cores: float) -> float:
    return BASE - cores / MOST_CORES * (BASE - TOP - 20)


if __name__ == "__main__":
    main()
