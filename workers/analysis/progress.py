"""The line that says how far it has come, redrawn in place; quiet where nobody looks."""

from __future__ import annotations

from shutil import get_terminal_size
from time import monotonic
from typing import TextIO

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from workers.analysis.analyse import Progress
from workers.analysis.charts import clock

BAR_CHARACTERS = 24
REDRAW_SECONDS = 0.1


class ProgressLine:
    """Draws on `output` when that is a terminal."""

    def __init__(self, output: TextIO, *, total_seconds: float) -> None:
        self._output = output
        self._total = total_seconds
        self._drawn_at = 0.0
        self._began = monotonic()
        self.is_shown = output.isatty()

    def show(self, progress: Progress) -> None:
        """Redraw, unless that was done a moment ago."""
        now = monotonic()
        if not self.is_shown or now - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = now
        text = describe(progress, self._total, elapsed_seconds=now - self._began)
        self._output.write(f"\r\x1b[K{text[: get_terminal_size().columns - 1]}")
        self._output.flush()

    def clear(self) -> None:
        """Leave an empty line for what is said next."""
        if self.is_shown:
            self._output.write("\r\x1b[K")
            self._output.flush()


def describe(progress: Progress, total_seconds: float, *, elapsed_seconds: float) -> str:
    """The line's text; a recording that does not say its length has no bar."""
    told = ngettext("%(frames)d frame", "%(frames)d frames", progress.frames) % {"frames": progress.frames}
    if progress.asked:
        told += ", " + _("%(answered)d of %(asked)d answers") % {
            "answered": progress.answered,
            "asked": progress.asked,
        }
    if total_seconds <= 0:
        return f"{clock(progress.seconds)}  {told}"
    share = min(progress.seconds / total_seconds, 1.0)
    full = round(share * BAR_CHARACTERS)
    bar = "█" * full + "░" * (BAR_CHARACTERS - full)
    left = elapsed_seconds * (1 - share) / share if share > 0 else 0.0
    ending = "  " + _("%(time)s left") % {"time": clock(left)} if share < 1 and elapsed_seconds > 2 else ""
    return f"{bar} {share:4.0%}  {clock(progress.seconds)} / {clock(total_seconds)}  {told}{ending}"
