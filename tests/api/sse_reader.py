"""A small reader of server-sent events, so that what other clients hide can be looked at."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx


@dataclass(slots=True)
class Event:
    id: int = 0
    type: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def events(response: httpx.Response) -> Iterator[Event]:
    """A small reader of server-sent events; comments come out as type `ping`."""
    one = Event()
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        match name:
            case "id":
                one.id = int(value)
            case "event":
                one.type = value
            case "data":
                one.data = json.loads(value)
            case "" if line:
                yield Event(type="ping")
            case "" if one.type:
                yield one
                one = Event()
