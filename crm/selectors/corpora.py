"""What searches know of a workspace's passages as a whole, kept in memory for some seconds."""

import math
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from crm.models import Corpus

KEPT_S: Final = 15.0
_MOST: Final = 500

_lock = Lock()
_seen: OrderedDict[uuid.UUID, tuple[float, "Words"]] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Words:
    """`frequent`: word stem -> passages with it; a word that is not there is rare."""

    chunks: int = 0
    languages: tuple[str, ...] = ("english", "simple")
    frequent: dict[str, int] = field(default_factory=dict)

    def passages_with(self, stem: str) -> int:
        return self.frequent.get(stem, 1)

    def weight(self, stem: str) -> float:
        """How much a word tells: the rarer, the more."""
        return math.log(1 + (self.chunks + 1) / self.passages_with(stem))


def words(workspace_id: uuid.UUID) -> Words:
    """As of some seconds ago."""
    now = time.monotonic()
    with _lock:
        known = _seen.get(workspace_id)
    if known is not None and now - known[0] < KEPT_S:
        return known[1]
    row = Corpus.objects.filter(pk=workspace_id).values("chunks", "languages", "words").first()
    found = Words() if row is None else Words(row["chunks"], tuple(row["languages"]), row["words"])
    if not found.languages:
        found = Words(found.chunks, frequent=found.frequent)
    with _lock:
        _seen[workspace_id] = now, found
        _seen.move_to_end(workspace_id)
        while len(_seen) > _MOST:
            _seen.popitem(last=False)
    return found


def forget(workspace_id: uuid.UUID) -> None:
    """After a change in this process."""
    with _lock:
        _seen.pop(workspace_id, None)
