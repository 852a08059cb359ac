"""The recipes of docs/developing.md work as they are written, and name files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "developing.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TITLES = ("detector", "source", "provider", "metric", "step")


@pytest.mark.parametrize(("title", "block"), list(zip(TITLES, BLOCKS, strict=True)), ids=TITLES)
def test_recipe_works_as_it_is_written(title: str, block: str) -> None:
    exec(compile(block, f"developing.md: {title}", "exec", dont_inherit=True), {"__name__": "recipe"})  # noqa: S102


def test_named_files_and_what_is_in_them_are_there() -> None:
    folders = "assessment|cameras|detection|tests|trafficmon|config|requirements"
    named = re.findall(rf"`((?:{folders})/[\w./]*)(?:: (\w+))?`", PAGE)
    assert len(named) > 15
    for path, name in named:
        assert (ROOT / path).exists(), path
        defined = rf"^\s*(class|def) {name}\b"
        assert not name or re.search(defined, (ROOT / path).read_text(), re.MULTILINE), (path, name)
