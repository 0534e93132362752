"""Counts the log lines that may want a person; the runbook says what each means."""

import logging

from tenex.monitoring import counts

_OF_LEVEL = {level: counts.LOG_LINES.labels(level) for level in ("warning", "error")}


class Handler(logging.Handler):
    """For the root logger, beside the one that writes."""

    def emit(self, record: logging.LogRecord) -> None:
        _OF_LEVEL["error" if record.levelno >= logging.ERROR else "warning"].inc()
