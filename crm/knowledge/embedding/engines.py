"""Which model embeds, and its questions' vectors: cached, and never waited for longer than said."""

import hashlib
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from django.conf import settings

from crm.knowledge.embedding import client
from crm.knowledge.embedding.client import Account, EmbeddingFailed, Vectors
from crm.models.knowledge import LOCAL_MODEL, OPENAI_MODEL
from tenex.errors import TenexError

BATCH: Final = {LOCAL_MODEL: 8, OPENAI_MODEL: 128}
"""Passages of one request: a few seconds of work."""
PASSAGE_S: Final = 120.0
_QUERY_CHARS: Final = 400
_KEPT: Final = 4096
_IN_LINE: Final = 32
"""Questions that wait for their vector; who comes then goes without."""


def _of_settings(workspace_id: uuid.UUID) -> Account:
    return Account(settings.OPENAI_API_KEY, settings.OPENAI_BASE_URL)


_account_of: Callable[[uuid.UUID], Account] = _of_settings
_known: OrderedDict[tuple[str, bytes], list[float]] = OrderedDict()
_asked: dict[tuple[str, bytes], Future[Vectors]] = {}
_lock = threading.Lock()


def model() -> str:
    """The model that new vectors are of (EMBEDDINGS in the settings)."""
    match settings.EMBEDDINGS:
        case "openai":
            return OPENAI_MODEL
        case "auto" if settings.OPENAI_API_KEY and not settings.REHEARSAL:
            return OPENAI_MODEL
        case _:
            return LOCAL_MODEL


def pay_with(found: Callable[[uuid.UUID], Account]) -> None:
    """Let `found` say whose account pays for a workspace's vectors (an app above this one)."""
    global _account_of  # noqa: PLW0603 - one a process, set when it starts
    _account_of = found


def account(workspace_id: uuid.UUID) -> Account:
    """Whose key pays for this workspace's vectors. The one place that knows.

    Raises:
        EmbeddingFailed: it cannot be read.
    """
    if model() == LOCAL_MODEL:
        return Account()
    try:
        return _account_of(workspace_id)
    except TenexError as exc:
        raise EmbeddingFailed(exc.code) from exc


def passages(workspace_id: uuid.UUID, texts: Sequence[str]) -> Vectors:
    """Vectors of passages, a batch of them.

    Raises:
        EmbeddingFailed.
    """
    asked = client.ask(model(), texts, form="passage", account=account(workspace_id), timeout_s=PASSAGE_S / 4)
    return client.wait(asked, PASSAGE_S)


def query(workspace_id: uuid.UUID, text: str, within_s: float) -> list[float]:
    """The vector of a question, from memory if it was asked before in these words.

    Raises:
        EmbeddingFailed: not in time either; when it comes later it is remembered.
    """
    asked = normalized(text)
    key = model(), hashlib.blake2b(asked.encode(), digest_size=16).digest()
    with _lock:
        if (found := _known.get(key)) is not None:
            _known.move_to_end(key)
            return found
    paying = account(workspace_id)
    if len(_asked) >= _IN_LINE:
        client.end_if_stuck()  # else nobody would wait any more, and so nobody notice
    with _lock:
        future = _asked.get(key)
        if future is None:
            if len(_asked) >= _IN_LINE:
                raise EmbeddingFailed("too many questions at once")
            future = client.ask(key[0], [asked], form="query", account=paying, timeout_s=max(within_s, 5.0))
            _asked[key] = future
            is_new = True
        else:
            is_new = False
    if is_new:
        future.add_done_callback(lambda done: _remember(key, done))
    return client.wait(future, within_s)[0]


def normalized(text: str) -> str:
    """A question as it is embedded and remembered: case and spaces make no difference."""
    return " ".join(text.lower().split())[:_QUERY_CHARS]


def _remember(key: tuple[str, bytes], done: Future[Vectors]) -> None:
    with _lock:
        _asked.pop(key, None)
        if done.exception() is None:
            _known[key] = done.result()[0]
            while len(_known) > _KEPT:
                _known.popitem(last=False)


def warm() -> None:
    """Before the first question of a call."""
    client.warm()


__all__ = [
    "BATCH",
    "Account",
    "EmbeddingFailed",
    "account",
    "model",
    "normalized",
    "passages",
    "pay_with",
    "query",
    "warm",
]
