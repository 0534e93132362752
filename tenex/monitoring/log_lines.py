"""Counts the log lines that may want a person; the runbook says what each means."""

import logging


class Handler(logging.Handler):
    """For the root logger, beside the one that writes.

    What counts is loaded with the first such line: the scheduler has none, and starts the faster.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            from tenex.monitoring import counts

            (counts.errors if record.levelno >= logging.ERROR else counts.warnings).inc()
        except Exception:  # as any handler: a line must not break who wrote it
            self.handleError(record)
