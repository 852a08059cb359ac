"""The commands that docs/operations.md gives: for each kind of process, and step by step."""

from __future__ import annotations

from pathlib import Path

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
_BEGINS = ("daphne ", "python manage.py ", "celery -A trafficmon ")


def documented() -> set[str]:
    """Every line of its code blocks that starts a process."""
    return {line for line in _lines(_DOCUMENT.read_text(encoding="utf-8")) if line.startswith(_BEGINS)}


def steps(section: str) -> list[str]:
    """The lines of a section's code blocks, in their order, comments and all."""
    text = _DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2]
    return _lines(text.partition("\n## ")[0])


def _lines(text: str) -> list[str]:
    blocks = text.split("```bash\n")[1:]
    return [line.strip() for block in blocks for line in block.partition("```")[0].splitlines()]
