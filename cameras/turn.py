"""Which of several capture processes is at work: the others stand by, so that no camera is read twice."""

from __future__ import annotations

import redis
import structlog

from trafficmon.core.ids import new_token

log = structlog.get_logger()

TURN_SECONDS = 5.0
"""A process that says nothing for so long has lost its turn."""
_KEY = "capture:turn"

_KEEP = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_GIVE_UP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
"""


class CaptureTurn:
    """The right to capture, of one process at a time: to be kept about once a second, and given up at the end."""

    def __init__(self, client: redis.Redis) -> None:
        self.is_ours = False
        self._name = new_token()
        self._said = False
        self._keep = client.register_script(_KEEP)
        self._give_up = client.register_script(_GIVE_UP)

    def keep(self) -> bool:
        """Whether it is our turn, for TURN_SECONDS from now; while Redis is away it stays whose it was."""
        try:
            ours = bool(self._keep(keys=(_KEY,), args=(self._name, round(TURN_SECONDS * 1000))))
        except redis.RedisError as error:
            log.warning("capture.turn_unknown", error=type(error).__name__)
            return self.is_ours
        if not ours and (self.is_ours or not self._said):
            log.warning("capture.standing_by", reason="Another capture process is at work; this one waits for its end.")
            self._said = True
        if ours and not self.is_ours:
            log.info("capture.begun")
        self.is_ours = ours
        return ours

    def give_up(self) -> None:
        """Let the next process begin at once; raises redis.RedisError."""
        self.is_ours = False
        self._give_up(keys=(_KEY,), args=(self._name,))
