"""The demo's API client: plain HTTP and SSE, as an integrator without an SDK would do it."""

from collections.abc import Iterator
from typing import Any

import httpx2
import orjson


class Api:
    """A workspace's API under one key.

    Raises (from every method):
        RuntimeError: an answer that is not 2xx, with its body.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self._http = httpx2.Client(
            base_url=base_url, headers={"authorization": f"Bearer {key}"}, timeout=30.0, trust_env=False
        )

    def close(self) -> None:
        """Let go of the connections that are kept open between requests."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        return self._json(self._http.get(path, params=params))

    def post(self, path: str, body: dict[str, Any], **headers: str) -> Any:
        return self._json(self._http.post(path, json=body, headers=headers))

    def bytes_of(self, url: str) -> bytes:
        answer = self._http.get(url)
        if answer.status_code >= 300:
            raise RuntimeError(f"GET {url}: {answer.status_code}")
        return bytes(answer.content)

    def events(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Server-sent events as `(type, data)` until the server ends the stream; resumes after a break."""
        last_id = ""
        while True:
            headers = {"accept": "text/event-stream", **({"last-event-id": last_id} if last_id else {})}
            try:
                with self._http.stream("GET", path, headers=headers, timeout=60.0) as answer:
                    if answer.status_code != 200:
                        raise RuntimeError(f"GET {path}: {answer.status_code}")
                    kind, data = "message", ""
                    for text in answer.iter_lines():
                        if text.startswith("id:"):
                            last_id = text[3:].strip()
                        elif text.startswith("event:"):
                            kind = text[6:].strip()
                        elif text.startswith("data:"):
                            data += text[5:].strip()
                        elif not text and data:
                            yield kind, orjson.loads(data)
                            kind, data = "message", ""
                return
            except httpx2.TransportError:
                continue

    def _json(self, answer: httpx2.Response) -> Any:
        if answer.status_code >= 300:
            raise RuntimeError(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}"
            )
        return answer.json() if answer.content else None
