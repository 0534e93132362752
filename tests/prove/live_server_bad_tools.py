"""The media server of promise B8: the product's, with four tools that misbehave. `--port N`.

A tool's own code is replaced, nothing around it: registry, rows, deadlines and the bridge are the product's.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import django

HANG_S = 40.0
"""Longer than its call."""
SLOW_S = 9.5
"""Longer than the deadline of 8 s; the second try is fast."""


def _misbehave() -> None:
    from voice.tools.catalog import TOOLS
    from voice.tools.scope import Answer, Scope

    tried: set[str] = set()
    update = TOOLS["update_lead"].run

    def hangs(scope: Scope, arguments: Any) -> Answer:
        time.sleep(HANG_S)
        raise AssertionError("unreachable")

    def raises(scope: Scope, arguments: Any) -> Answer:
        raise RuntimeError("a fault of ours inside a tool")

    def huge(scope: Scope, arguments: Any) -> Answer:
        return Answer({"results": [{"text": "x" * 1024} for _ in range(1024)]})

    def slow(scope: Scope, arguments: Any) -> Answer:
        answer = update(scope, arguments)
        if str(scope.call.pk) not in tried:
            tried.add(str(scope.call.pk))
            time.sleep(SLOW_S)
        return answer

    changed: dict[str, Callable[[Scope, Any], Answer]] = {
        "list_free_slots": hangs,
        "lookup_lead": raises,
        "search_knowledge": huge,
        "update_lead": slow,
    }
    for name, run in changed.items():
        TOOLS[name] = replace(TOOLS[name], run=run)


def main(port: int) -> None:
    django.setup()
    _misbehave()
    from tenex.asgi import application
    from tenex.server.listener import listen_tcp
    from tenex.server.serve import ServeOptions, serve

    serve(application, listen_tcp("127.0.0.1", port), ServeOptions(drain_timeout_s=1.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    main(parser.parse_args().port)
