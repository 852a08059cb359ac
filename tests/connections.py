"""The connections to the suite's own database of a Redis that others may use, too."""

from __future__ import annotations

from typing import Any

import redis


def connections_to(client: redis.Redis, *, kind: str | None = None) -> list[dict[str, Any]]:
    """Those to this client's database, as Redis lists them; with `kind`, only those of it, such as `pubsub`."""
    number = str(client.connection_pool.connection_kwargs.get("db", 0))
    listed: Any = client.client_list(_type=kind)
    return [each for each in listed if each["db"] == number]
