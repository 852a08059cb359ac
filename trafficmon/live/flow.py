"""How a consumer learns that a client does not keep up.

Daphne's `send` returns at once and its transport buffers without bound, so a slow client would get an ever longer
backlog. Twisted's transports tell a registered producer when their buffer is full and when it has drained: that is
what `TransportFlow` waits for. Servers whose `send` waits by itself need nothing of this.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Receive = Callable[..., Awaitable[Any]]
Send = Callable[..., Awaitable[None]]
Application = Callable[..., Awaitable[None]]

UNSENT_BYTES = 65_536
"""What the kernel may hold for a client that does not read, beyond what is under way."""


class Flow(Protocol):
    async def ready(self) -> None:
        """Wait until the client has taken what was sent before."""


class OpenFlow:
    """For servers that wait in `send` itself."""

    async def ready(self) -> None:
        return


class TransportFlow:
    """A push producer as Twisted's transports expect it (IPushProducer)."""

    def __init__(self) -> None:
        self._may_write = asyncio.Event()
        self._may_write.set()

    async def ready(self) -> None:
        await self._may_write.wait()

    def pauseProducing(self) -> None:  # noqa: N802  # Twisted's name
        self._may_write.clear()

    def resumeProducing(self) -> None:  # noqa: N802  # Twisted's name
        self._may_write.set()

    def stopProducing(self) -> None:  # noqa: N802  # Twisted's name
        """The connection is lost: whoever waits learns so from the disconnect message."""
        self._may_write.set()


def with_flow(application: Application) -> Application:
    """Put a Flow for the socket into `scope["flow"]`."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await application({**scope, "flow": _find_flow(send)}, receive, send)

    return call


def flow_of(scope: Mapping[str, Any]) -> Flow:
    """What `with_flow` put there."""
    flow: Flow = scope["flow"]
    return flow


def _find_flow(send: Send) -> Flow:
    """A TransportFlow where `send` is daphne's (a partial over the protocol), else an OpenFlow."""
    protocol = send.args[0] if isinstance(send, functools.partial) and send.args else None
    transport = getattr(protocol, "transport", None)
    if transport is None or not hasattr(transport, "registerProducer"):
        return OpenFlow()
    flow = TransportFlow()
    # The HTTP channel from which this connection was upgraded is registered still.
    transport.unregisterProducer()
    transport.registerProducer(flow, streaming=True)
    _hold_little(transport.getHandle())
    return flow


def _hold_little(handle: object) -> None:
    """Without this, Linux may take megabytes for a slow client: half a minute of old pictures."""
    if isinstance(handle, socket.socket) and handle.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
