"""The text that a scrape gets, in the format that it asks for."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.conf import settings
from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tenex.monitoring import counts, installation
from tenex.monitoring.families import gauge
from tenex.server import drain

_OF_SYSTEM: Final = ProcessCollector(registry=None)
"""Memory, processor time and open files of this process."""


class _Given(Collector):
    """Families that are there already, with our role on each sample."""

    def __init__(self, families: Iterable[Metric], **labels: str) -> None:
        self._families = families
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            told = Metric(family.name, family.documentation, family.type, family.unit)
            told.samples = [one._replace(labels={**one.labels, **self._labels}) for one in family.samples]
            yield told


def of_process(accept: str, role: str) -> tuple[bytes, str]:
    """What this process counted (of a worker: it and its children), and its content type. No database."""
    return _encoded(_Given(_counted(), role=role), accept)


def of_installation(accept: str) -> tuple[bytes, str]:
    """What is so of the installation.

    Raises:
        NotReadable: the database does not answer.
    """
    return _encoded(_Given(installation.read()), accept)


def role_here() -> str:
    """`all`, `web` or `media` of a server, `worker` of a worker."""
    return "worker" if counts.FOLDER else str(settings.ROLE)


def _counted() -> Iterator[Metric]:
    if counts.FOLDER:
        of_all: Any = MultiProcessCollector
        yield from of_all(None, str(counts.FOLDER)).collect()
        return
    yield from counts.REGISTRY.collect()
    yield gauge("tenex_process_live_calls", "Live calls that this process carries.", drain.live_calls.count)
    yield gauge("tenex_process_draining", "Whether it takes no new ones any more.", drain.is_draining())
    yield from _OF_SYSTEM.collect()


def _encoded(collector: Collector, accept: str) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    return encode(collector), content_type
