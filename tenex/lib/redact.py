"""Secrets do not leave by logs, tracebacks and error reports: hidden by their form, and by their value.

By form: what is recognized wherever it stands (keys of ours and of providers, Authorization, passwords in
addresses, tokens of sockets). By value: what this process has opened or was started with, wherever it
stands. The last step of every line that is logged, so it holds for libraries, tracebacks and fields alike.

Bounded: one pass of one pattern, and a search for each of at most `KEPT_VALUES` values.
"""

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

import structlog

HIDDEN: Final = "***"
KEPT_VALUES: Final = 256
"""Opened ones. What was not opened for `KEPT_S` is forgotten, and the oldest when there are too many."""
KEPT_S: Final = 3600.0
SHORTEST: Final = 8
"""A shorter value is no secret, and stands in every other word."""

_SECRET = re.compile(r"(/(?:sessions|twilio)/media/|[?&]token=)[^\s\"'&]+")
_FORMS: Final = re.compile(
    r"""
      (?P<address>  (?:/(?:sessions|twilio)/media/|[?&]token=) )  [^\s"'&\\]+
    | (?P<header>   authorization["']?\s*[:=,]\s*b?["']?(?:[a-z]+\s+)? )  [^\s"',}\\]{4,}
    | (?P<scheme>   \b(?:bearer|basic)\s+ )  [A-Za-z0-9._~+/=-]{8,}
    | (?P<url>      ://[^\s/:@"']{0,80}: )  [^\s/@"']+ (?=@)
    | (?P<account>  \bAC[0-9a-f]{32}: )  [^\s"'@,\\]{8,}
    | (?P<key>      \btnx_[0-9A-Za-z]{8}_ )  [0-9A-Za-z]+
    | (?P<hook>     \bwhsec_ )  [A-Za-z0-9+/=_-]{8,}
    | (?P<provider> \bsk- )  [A-Za-z0-9_-]{8,}
    | (?P<stream>   \bt1\. )  [A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{8,}
    | (?P<jwt>      \beyJ )  [A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+
    """,
    re.VERBOSE | re.IGNORECASE,
)

_lock = threading.Lock()
_opened: OrderedDict[str, float] = OrderedDict()
_for_good: tuple[str, ...] = ()


def address(text: str) -> str:
    """`text` with tokens in addresses masked."""
    return _SECRET.sub(rf"\1{HIDDEN}", text)


def text(said: str) -> str:
    """`said` without secrets."""
    for value in _values():
        if value in said:
            said = said.replace(value, HIDDEN)
    return _FORMS.sub(_hide, said)


def _hide(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup or 0]}{HIDDEN}"


def remember(value: str) -> None:
    """Hide this value from now on, wherever it turns up: it has just been opened."""
    if len(value) < SHORTEST:
        return
    with _lock:
        for form in _written(value):
            _opened[form] = time.monotonic()
            _opened.move_to_end(form)
        while len(_opened) > KEPT_VALUES:
            _opened.popitem(last=False)


def remember_for_good(values: Iterable[str]) -> None:
    """Hide these as long as the process lives: it was started with them."""
    global _for_good  # noqa: PLW0603 - one set a process
    found = {form for value in values if len(value) >= SHORTEST for form in _written(value)}
    _for_good = tuple(sorted({*_for_good, *found}, key=len, reverse=True))


def _written(value: str) -> set[str]:
    """As it may stand in a line: plain, and as JSON has it."""
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}


def _values() -> list[str]:
    now_s = time.monotonic()
    with _lock:
        while _opened and next(iter(_opened.values())) < now_s - KEPT_S:
            _opened.popitem(last=False)
        return [*_for_good, *_opened]


class AddressFilter(logging.Filter):
    """For the loggers of servers, which write down the addresses that they are asked for."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(address(arg) if isinstance(arg, str) else arg for arg in record.args)
        if isinstance(record.msg, str):
            record.msg = address(record.msg)
        return True


class Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders a line and hides what is secret in all of it: message, fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return text(super().format(record))


def cleanse(value: Any) -> Any:
    """A value of a frame or a request without secrets; what is no text goes by its repr if that has one."""
    if isinstance(value, str):
        return text(value)
    shown = repr(value)
    hidden = text(shown)
    return value if hidden == shown else hidden


def hide_last_words() -> None:
    """Tracebacks of whatever nobody caught go past the loggers, so they are cleansed here."""
    sys.excepthook = _last_words
    threading.excepthook = _last_words_of_thread


def _last_words(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(text("".join(traceback.format_exception(kind, exc, trace))))


def _last_words_of_thread(args: Any) -> None:
    if args.exc_type is SystemExit:
        return
    name = args.thread.name if args.thread is not None else "unknown"
    said = "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
    sys.stderr.write(text(f"Exception in thread {name}:\n{said}"))
