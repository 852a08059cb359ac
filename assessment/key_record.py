"""How often calls of each key succeeded and failed, over all workers.

They are counted where their slots are settled (`settle.lua`), or given back as nothing of them could be sent
(`give_back.lua`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cameras.frames import connect_redis


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """Calls of a key since Redis was emptied last."""

    succeeded: int = 0
    failed: int = 0

    @property
    def success_rate(self) -> float:
        """1 where nothing was asked."""
        calls = self.succeeded + self.failed
        return self.succeeded / calls if calls else 1.0


def records_of(key_ids: Sequence[str]) -> list[KeyRecord]:
    """The record of each of these keys."""
    client = connect_redis()
    with client.pipeline(transaction=False) as asked:
        for key_id in key_ids:
            asked.hmget(_place(key_id), "succeeded", "failed")
        return [KeyRecord(int(succeeded or 0), int(failed or 0)) for succeeded, failed in asked.execute()]


def _place(key_id: str) -> str:
    return f"{{llm}}:record:{key_id}"
