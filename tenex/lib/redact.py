"""Addresses in logs without what opens something: tokens of session sockets and of event streams."""

import logging
import re

_SECRET = re.compile(r"(/sessions/media/|[?&]token=)[^\s\"'&]+")


def address(text: str) -> str:
    """`text` with tokens in addresses masked."""
    return _SECRET.sub(r"\1***", text)


class AddressFilter(logging.Filter):
    """For the loggers of servers, which write down the addresses that they are asked for."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(address(arg) if isinstance(arg, str) else arg for arg in record.args)
        if isinstance(record.msg, str):
            record.msg = address(record.msg)
        return True
