"""A tool that waits until a test lets it go."""

import threading
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers as f

from tenex.mcp.forms import NoArguments
from tenex.mcp.registry import Tool
from tenex.rest.serializers import Output
from tenex.workspaces.principal import Principal

begun, go_on = threading.Event(), threading.Event()


class DoneOut(Output):
    """Done."""

    done = f.BooleanField()


def _wait(principal: Principal, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    begun.set()
    return {"done": go_on.wait(20)}


TOOLS = (
    Tool(
        name="wait",
        title="Wait",
        description="Waits.",
        arguments=NoArguments,
        answer=DoneOut,
        run=_wait,
        scope=None,
    ),
)
