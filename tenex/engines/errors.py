"""What can go wrong with an embedded engine, as one error with a sentence for the person at the terminal."""

from __future__ import annotations


class EngineError(RuntimeError):
    """An embedded engine could not be started, reached or stopped. The message says what to do."""
