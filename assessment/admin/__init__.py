"""What administrators see and change of assessment, one module a subject."""

from __future__ import annotations

from assessment.admin import dead_letters, pool, results, spending

__all__ = ["dead_letters", "pool", "results", "spending"]
