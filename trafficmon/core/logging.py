"""Structured logs: one event a line, with fields; never a secret or a picture."""

from __future__ import annotations

import logging
import re
import sys
import threading
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from trafficmon.core import tracing

_SECRETS = (
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^/?#\s]*@", re.IGNORECASE), r"\1***@"),
    # As cameras.addresses masks them: cameras take passwords in their addresses too.
    (
        re.compile(
            r"((?<![\w-])(?:user(?:name)?|login|pass(?:word|wd)?|pwd|(?:access_?)?token|auth|(?:api_?)?key"
            r"|secret|sig(?:nature)?)=)(?!\s)[^&#/?\s'\"]+",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{6,}"), "sk-***"),
    (re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+"), "data:image/***"),
)


def mask_secrets(text: str) -> str:
    """`text` with credentials in URLs, API keys and inline pictures replaced by asterisks."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _mask_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: mask_secrets(value) if isinstance(value, str) else value for key, value in event.items()}


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**tracing.fields(), **event}


def processors() -> list[Processor]:
    """What every event passes through before it is rendered."""
    return [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_fields,
    ]


Format = Literal["text", "json"]


def _renderers(form: Format) -> list[Processor]:
    if form == "json":
        return [_lead_with_what_happened, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer(pad_event_to=0)]
    return [structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)]


def _lead_with_what_happened(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {**{name: event[name] for name in ("timestamp", "level", "event") if name in event}, **event}


def _say_what_broke(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught, in one line as everything else: Python's own words take many."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("trafficmon").critical("process.broke", exc_info=(kind, error, trace))


def _say_what_broke_in_thread(broke: threading.ExceptHookArgs) -> None:
    if broke.exc_value is not None and broke.exc_type is not SystemExit:
        exc_info = (broke.exc_type, broke.exc_value, broke.exc_traceback)
        logging.getLogger("trafficmon").critical("thread.broke", exc_info=exc_info)


def catch_what_is_not_logged() -> None:
    """Have warnings, and exceptions that nobody catches, logged: by themselves they are text of many lines."""
    logging.captureWarnings(capture=True)
    sys.excepthook = _say_what_broke
    threading.excepthook = _say_what_broke_in_thread


def logging_settings(level: str, form: Format = "text") -> dict[str, Any]:
    """A `logging.config` dictionary: every library's records in the same one-line form as ours."""
    named = [structlog.stdlib.add_logger_name] if form == "json" else []
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "event": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(form)],
                "foreign_pre_chain": [*named, *processors()],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "event"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "celery": {"level": "WARNING"},
            "kombu": {"level": "ERROR"},
            "daphne.http_protocol": {"level": "WARNING"},
            "daphne.ws_protocol": {"level": "WARNING"},
            "django.channels.server": {"level": "WARNING"},
            "twisted": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "libav": {"level": "CRITICAL"},
        },
    }


def configure_structlog() -> None:
    """Send structlog's events through the standard library's logging."""
    structlog.configure(
        processors=[*processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=True,
    )
