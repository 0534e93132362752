"""How log lines are made: static messages with fields; no transcripts, prompts, keys, whole numbers."""

from typing import Any

import structlog


def configured(*, level: str, as_json: bool) -> dict[str, Any]:
    """Set structlog up; what Django's `LOGGING` is to be."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"addresses": {"()": "tenex.lib.redact.AddressFilter"}},
        "formatters": {
            "tenex": {
                "()": "tenex.lib.redact.Formatter",  # the last step: no secret passes it
                "processor": structlog.processors.JSONRenderer()
                if as_json
                else structlog.dev.ConsoleRenderer(colors=False),
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "tenex"},
            "counted": {"class": "tenex.monitoring.log_lines.Handler", "level": "WARNING"},
        },
        "root": {"handlers": ["stderr", "counted"], "level": level},
        "loggers": {
            "uvicorn.access": {"level": "WARNING"},
            "uvicorn.error": {"filters": ["addresses"]},
            "daphne.http_protocol": {"filters": ["addresses"]},
            "daphne.ws_protocol": {"filters": ["addresses"]},
            "django.channels.server": {"filters": ["addresses"]},
            "django.security.DisallowedHost": {"handlers": [], "propagate": False},  # any scanner makes these
            "httpx": {"level": "WARNING"},
            "mcp": {"level": "WARNING"},
            "picows": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},  # a client's mistake is no news
            "twilio": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
        },
    }
