"""Nothing in templates and scripts needs an exception from the content security policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

_TEMPLATES = re.compile(
    r"<style|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|javascript:|<script(?![^>]*\ssrc=)|<iframe|<object|<embed"
)
_SCRIPTS = re.compile(
    r"\beval\(|new Function\(|\.cssText\b|setAttribute\(\"(?:style|on\w+)\"|insertAdjacentHTML|document\.write"
)
_ELSEWHERE = re.compile(r"(?:src|href|action)=\"(?:https?:)?//|@import|url\(\s*[\"']?(?:https?:)?//")
REPORTS = "workers/templates"
"""Of a report of its own, which is a file on somebody's disk and has no policy."""


def _files(*suffixes: str) -> list[Path]:
    """Of the product, below its folders of templates and static files."""
    found = [
        each
        for app in ("trafficmon", "cameras", "assessment", "workers")
        for each in Path(settings.BASE_DIR, app).rglob("*")
    ]
    ours = [each.relative_to(settings.BASE_DIR) for each in found if each.suffix in suffixes]
    return [each for each in ours if not str(each).startswith(REPORTS)]


@pytest.mark.parametrize("path", _files(".html"), ids=str)
def test_template_has_neither_inline_content_nor_another_host(path: Path) -> None:
    text = Path(settings.BASE_DIR, path).read_text(encoding="utf-8")
    assert _TEMPLATES.findall(text) + _ELSEWHERE.findall(text) == []


@pytest.mark.parametrize("path", _files(".js", ".css"), ids=str)
def test_script_and_style_make_no_inline_content_and_ask_no_other_host(path: Path) -> None:
    text = Path(settings.BASE_DIR, path).read_text(encoding="utf-8")
    assert _SCRIPTS.findall(text) + _ELSEWHERE.findall(text) == []


def test_policy_makes_no_exception() -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    allowed = {source for sources in directives.values() for source in sources}
    assert allowed == {"'none'", "'self'", "data:", "blob:"}
    assert [name for name, sources in directives.items() if "data:" in sources] == ["img-src"]
    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == ["'none'"]
