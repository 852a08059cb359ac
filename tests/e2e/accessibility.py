"""axe-core on a page as it stands: WCAG 2.2 at the level AA, light and dark, wide and as narrow as a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

_LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


_AT_THE_END = """() => {
  for (const each of document.getAnimations()) {
    if (each.effect.getComputedTiming().endTime === Infinity) each.cancel();
    else each.finish();
  }
}"""


@dataclass(frozen=True, slots=True)
class Look:
    """How a reader sees a page."""

    name: str
    scheme: Literal["light", "dark"]
    width: int
    height: int


LIGHT = Look("light", "light", 1280, 900)
DARK = Look("dark", "dark", 1280, 900)
PHONE = Look("phone", "dark", 390, 844)
ALL = (LIGHT, DARK, PHONE)
AT_THE_END = (LIGHT, PHONE)
"""As every test leaves its page; all looks of every page are in test_accessibility.py."""


DJANGOS = (
    ".breadcrumbs, #changelist-filter, #changelist-search, .related-widget-wrapper, .selector, .calendarbox, "
    ".clockbox, .datetimeshortcuts, #nav-sidebar"
)
"""Parts of Django's administration that are its own to mend; what we add to its pages is all the rest."""


def find_barriers(page: Page, looks: Sequence[Look] = ALL) -> list[str]:
    """What keeps readers out, one sentence each; the page then looks as before."""
    before = page.viewport_size
    without = DJANGOS if "/admin/" in page.url else ""
    found = [f"{look.name}: {barrier}" for look in looks for barrier in _look_at(page, look, without)]
    page.emulate_media(color_scheme=None, reduced_motion=None)
    if before:
        page.set_viewport_size(before)
    return found


def _look_at(page: Page, look: Look, without: str) -> list[str]:
    # What moves or fades has another contrast at each moment.
    page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
    page.set_viewport_size(ViewportSize(width=look.width, height=look.height))
    page.evaluate(_AT_THE_END)
    context = {"exclude": [[without]]} if without else None
    only = {"type": "tag", "values": _LEVELS}
    # To read style sheets beforehand it would make some of its own, which the page's policy forbids.
    options: dict[str, Any] = {"resultTypes": ["violations"], "runOnly": only, "preload": False}
    violations = Axe().run(page, context=context, options=options).response["violations"]
    return [f"{each['id']} ({each['help']}): {_where(node)}" for each in violations for node in each["nodes"]]


def _where(node: dict[str, Any]) -> str:
    told = " ".join(node["failureSummary"].split())
    return f"{node['target']} {node['html'][:160]} {told[:300]}"
