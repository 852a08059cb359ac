"""How a consumer and its client keep step, in both directions.

Daphne's `send` returns at once and its transport buffers without bound, so a slow client would get an ever longer
backlog. Twisted's transports tell a registered producer when their buffer is full and when it has drained: that is
what `TransportFlow` waits for. Nor does daphne bound what a client says before it is heeded: so the transport reads
only while the consumer listens. Servers whose `send` waits by itself need nothing of this.
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
LARGEST_SENT_BYTES = 16 * 1024**2
"""Of one message to a client: daphne's own mebibyte is less than a picture of 4K as text, with its groups."""


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
        protocol = _daphne_protocol(send)
        if protocol is None:
            await application({**scope, "flow": OpenFlow()}, receive, send)
            return
        transport = protocol.transport
        listen, say = _listening(receive, transport), _saying(send, protocol)
        try:
            await application({**scope, "flow": _flow_over(transport)}, listen, say)
        finally:
            # The client's last word, that it closes, too, is still to be heard.
            transport.resumeProducing()

    return call


def _listening(receive: Receive, transport: Any) -> Receive:
    """The same, but read from the client only while somebody waits for what it says: the rest stays with the client."""

    async def listen() -> Any:
        transport.resumeProducing()
        try:
            return await receive()
        finally:
            transport.pauseProducing()

    return listen


def _saying(send: Send, protocol: Any) -> Send:
    """The same, but larger messages may be sent. The protocol has one limit for both ways: it is raised while a message
    is handed over, which nothing interrupts, and from the client no more is taken in than before."""

    async def say(message: Any) -> None:
        usual = protocol.maxMessagePayloadSize
        protocol.maxMessagePayloadSize = LARGEST_SENT_BYTES
        try:
            await send(message)
        finally:
            protocol.maxMessagePayloadSize = usual

    return say


def flow_of(scope: Mapping[str, Any]) -> Flow:
    """What `with_flow` put there."""
    flow: Flow = scope["flow"]
    return flow


def _daphne_protocol(send: Send) -> Any:
    """The connection where `send` is daphne's (a partial over it), else None."""
    protocol = send.args[0] if isinstance(send, functools.partial) and send.args else None
    return protocol if hasattr(getattr(protocol, "transport", None), "registerProducer") else None


def _flow_over(transport: Any) -> Flow:
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
