"""What is so of the whole installation, read from its rows: the same answer from whichever process.

Each app says its part (`MONITORED` in the settings: a module with `PART` and `families()`). The statements
are a few and run along indexes; one that takes too long costs its own part alone.
"""

import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from prometheus_client.metrics_core import Metric
from psycopg.errors import QueryCanceled

from tenex.monitoring.families import gauge_by

log = structlog.get_logger(__name__)

STATEMENT_S: Final = 2.0
"""No statement of a scrape takes longer."""


class NotReadable(Exception):
    """The database does not answer: there is nothing to say."""


def read() -> list[Metric]:
    """All parts that can be read, and which could not.

    Raises:
        NotReadable: none could.
    """
    found: list[Metric] = []
    up: dict[str, float] = {}
    took_s: dict[str, float] = {}
    parts = [import_module(name) for name in settings.MONITORED]
    for part in parts:
        began_s = time.monotonic()
        up[part.PART] = 0
        try:
            families = list(_read(part))
        except DatabaseError as exc:
            log.warning("figures not read", part=part.PART, error=type(exc).__name__)
            if not isinstance(exc.__cause__, QueryCanceled):
                break  # it is away: the other parts would only wait for it, too
            continue
        finally:
            took_s[part.PART] = time.monotonic() - began_s
        found += families
        up[part.PART] = 1
    if not any(up.values()):
        raise NotReadable
    names = [part.PART for part in parts]
    return [
        gauge_by(
            "part", "tenex_system_part_up", "Whether this part of the figures could be read.", up, names
        ),
        gauge_by("part", "tenex_system_part_read_seconds", "How long reading it took.", took_s, names),
        *found,
    ]


def _read(part: Any) -> Iterator[Metric]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {round(STATEMENT_S * 1000)}")
        families: Iterable[Metric] = part.families()
        yield from families
