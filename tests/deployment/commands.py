"""The commands that docs/operations.md gives for each kind of process."""

from __future__ import annotations

from pathlib import Path

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
_BEGINS = ("daphne ", "python manage.py ", "celery -A trafficmon ")


def documented() -> set[str]:
    """Every line of its code blocks that starts a process."""
    blocks = _DOCUMENT.read_text(encoding="utf-8").split("```bash\n")[1:]
    lines = (line.strip() for block in blocks for line in block.partition("```")[0].splitlines())
    return {line for line in lines if line.startswith(_BEGINS)}
