"""Structured logs: one event a line, with fields; never a secret or a picture."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

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


def processors() -> list[Processor]:
    """What every event passes through before it is rendered."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_fields,
    ]


def logging_settings(level: str) -> dict[str, Any]:
    """A `logging.config` dictionary: every library's records in the same one-line form as ours."""
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(pad_event_to=0)
        if sys.stderr.isatty()
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "event": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": processors(),
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
