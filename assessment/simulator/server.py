"""The simulator's HTTP server."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakSet

from aiohttp import web
from pydantic import ValidationError

from assessment.simulator import compatible, native
from assessment.simulator.counts import Counts
from assessment.simulator.credentials import Credential, read_keys
from assessment.simulator.exchange import MAX_BODY_BYTES, MODELS, Asked, Dialect, Refusal
from assessment.simulator.faults import Control, FaultKind, Faults, Latency, refusal_of, spoil
from assessment.simulator.judgement import Judge
from assessment.simulator.limits import AccountLimits, Growth, Permitted

SPOILERS = (FaultKind.FENCED, FaultKind.WRAPPED, FaultKind.COMMENTED)
"""Everyday imperfections of models, for `rubbish`; the worse ones only on request."""

DIALECTS = {
    native.PATH: native.NATIVE,
    **dict.fromkeys(compatible.PATHS, compatible.COMPATIBLE),
}
REFUSED_WITH_200 = Refusal(200, "DataInspectionFailed", "Output data may contain inappropriate content.")
"""As some gateways do, outside the protocol."""

HANG_SECONDS = 3600.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})


def _exit_at_once() -> None:
    os._exit(70)


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """How a simulator behaves. Limits are those of `Permitted`, of each account and model.

    `keys` are `SECRET` or `SECRET@ACCOUNT`; where there are none, any key that starts with `sk-` is accepted. A key
    without an account is an account of its own.
    """

    seed: int = 0
    latency: Latency = field(default_factory=Latency)
    keys: tuple[str, ...] = ()
    rps: int = 0
    rpm: int = 0
    tpm: int = 0
    in_flight: int = 0
    growth: Growth | None = None
    rubbish: float = 0.0
    keep_requests: int = 0
    die: Callable[[], None] = _exit_at_once


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """A request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: Any


class Simulator:
    """Its state and its routes; `application()` is what a server runs."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.counts = Counts()
        self.captured: deque[CapturedRequest] = deque(maxlen=options.keep_requests)
        self._rng = random.Random(options.seed)
        self._faults = Faults(options.latency, self._rng)
        self._judge = Judge(options.seed)
        self._transports: WeakSet[asyncio.Transport] = WeakSet()
        self._credentials = read_keys(options.keys)
        permitted = Permitted(options.rps, options.rpm, options.tpm, options.in_flight, options.growth)
        self._limits = AccountLimits(permitted)

    def application(self) -> web.Application:
        """The provider's calls, `/_control` and `/_stats`, as one aiohttp application."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        for path, dialect in DIALECTS.items():
            application.router.add_post(path, partial(self._generate, dialect))
        for path in compatible.MODEL_PATHS:
            application.router.add_get(path, self._models)
        application.router.add_post("/_control", self._control)
        application.router.add_get("/_stats", self._stats)
        return application

    def close_connections(self) -> None:
        """Close every connection, whatever is under way on it."""
        for transport in tuple(self._transports):
            transport.close()

    async def _stats(self, _request: web.Request) -> web.Response:
        return web.json_response(self.counts.told())

    async def _control(self, request: web.Request) -> web.Response:
        if request.remote not in _LOOPBACK or request.content_type != "application/json":
            return web.json_response({"error": "only JSON, and only from this machine"}, status=403)
        try:
            self._faults.apply(Control.model_validate_json(await request.read()))
        except ValidationError as error:
            mistakes = error.errors(include_url=False, include_context=False, include_input=False)
            return web.json_response({"error": mistakes}, status=400)
        return web.json_response({"ok": True})

    async def _models(self, request: web.Request) -> web.Response:
        try:
            self._check_key(request, self._credential(request).key)
        except Refusal as refusal:
            return web.json_response(compatible.COMPATIBLE.refuse(refusal), status=refusal.status)
        return web.json_response(compatible.model_list(MODELS))

    async def _generate(self, dialect: Dialect, request: web.Request) -> web.StreamResponse:
        credential = self._credential(request)
        self.counts.requests += 1
        self.counts.in_flight += 1
        self._count_connection(request)
        outcome = "cancelled"
        try:
            outcome, response = await self._outcome(dialect, request, credential)
        except Refusal as refusal:
            outcome, response = refusal.code, web.json_response(dialect.refuse(refusal), status=refusal.status)
        finally:
            self.counts.in_flight -= 1
            self.counts.end(credential, outcome)
        return response

    def _count_connection(self, request: web.Request) -> None:
        """Each connection once, however many requests come over it."""
        if request.transport and request.transport not in self._transports:
            self._transports.add(request.transport)
            self.counts.connections += 1

    def _credential(self, request: web.Request) -> Credential:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return self._credentials.get(key) or Credential(key)

    async def _outcome(
        self, dialect: Dialect, request: web.Request, credential: Credential
    ) -> tuple[str, web.StreamResponse]:
        arrived = asyncio.get_running_loop().time()  # before the body, which this process reads when it has the time
        body = await self._read(request)
        self._check_key(request, credential.key)
        fault = self._faults.meet(credential, _model_named(body))
        if fault:
            misbehaved = await self._misbehave(dialect, request, fault)
            if misbehaved:
                return fault.value, misbehaved
        asked = dialect.read(body)
        with self._limits.admitted(credential.account, asked.model, tokens=asked.input_tokens, now=arrived):
            await asyncio.sleep(self._faults.latency.draw(self._rng))
        return "ok", web.json_response(dialect.reply(asked, self._answer(asked, fault)))

    async def _read(self, request: web.Request) -> Any:
        try:
            raw = await request.read()
            self.counts.bodies.note(raw)
            body = json.loads(raw)
        except web.HTTPRequestEntityTooLarge:
            raise Refusal(413, "RequestEntityTooLarge", "Exceeded limit on max bytes per request.") from None
        except ValueError:
            raise Refusal(400, "InvalidParameter", "The request body is not JSON.") from None
        self.captured.append(CapturedRequest(request.path, dict(request.headers), body))
        return body

    def _check_key(self, request: web.Request, key: str) -> None:
        bearer = request.headers.get("Authorization", "").startswith("Bearer ")
        known = key in self._credentials if self._credentials else key.startswith("sk-")
        if not (bearer and known) or self._faults.is_revoked(key):
            raise Refusal(401, "InvalidApiKey", "Invalid API-key provided.")
        if request.headers.get("X-DashScope-SSE", "").lower() == "enable":
            raise Refusal(400, "InvalidParameter", "This simulator does not stream.")

    async def _misbehave(self, dialect: Dialect, request: web.Request, fault: FaultKind) -> web.StreamResponse | None:
        """What the fault makes of the request; None where it only spoils the answer."""
        refusal = refusal_of(fault)
        if refusal:
            raise refusal
        match fault:
            case FaultKind.HANG:
                await asyncio.sleep(HANG_SECONDS)
            case FaultKind.TRICKLE:
                return await _trickle(request)
            case FaultKind.DROP:
                return _drop(request)
            case FaultKind.DIE:
                self.options.die()
                return _drop(request)
            case FaultKind.BAD_GATEWAY:
                return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")
            case FaultKind.OK_WITHOUT_OUTPUT:
                return web.json_response(dialect.refuse(REFUSED_WITH_200))
        return None

    def _answer(self, asked: Asked, fault: FaultKind | None) -> str:
        answer, level = self._judge.answer(asked.system, asked.text)
        self.counts.levels[level] += 1
        if fault is None and self._rng.random() < self.options.rubbish:
            fault = self._rng.choice(SPOILERS)
        return spoil(answer, fault) if fault else answer


def _model_named(body: object) -> str:
    """The model that a request is for, "" where it names none."""
    return str(body.get("model", "")) if isinstance(body, dict) else ""


def _drop(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


async def _trickle(request: web.Request) -> web.StreamResponse:
    """A reply that begins at once and never ends, a byte at a time."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(int(HANG_SECONDS * 10)):
        await response.write(b" ")
        await asyncio.sleep(0.1)
    return response
