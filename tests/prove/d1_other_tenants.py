"""D1: what belongs to another workspace does not exist, whatever route, method and place it is named in.

The matrix of tests.api.matrix over real web processes: every place in path, query and body where a request
can name a row, with every id of another workspace, of the right kind and (in full) of all others. The answer
is that for an id that nobody has, byte for byte. Streams are read while both workspaces write: nothing of the
other one arrives. Afterwards every row of every table is as it was.
"""

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.prove.api_rig import Api, main, rig

if TYPE_CHECKING:
    from tests.api import matrix
    from tests.api.world import Tenant

_AT_ONCE = 8
_STREAM_S = 2.0


def prove(full: bool) -> dict[str, Any]:
    with rig(2) as api:
        from tests.api import matrix
        from tests.api.test_tenants import everything, ids
        from tests.api.world import make

        alice, charlie = make("alice", 0), make("charlie", 1)
        own, other = ids(alice), ids(charlie)
        secrets = [value for value in other.values() if len(value) > 7] + [charlie.workspace.slug]
        slots = matrix.slots()
        cases = [(slot, value) for slot in slots for value in _values(slot, other, full=full)]
        before = everything()
        found = api.run(_try_all(api, alice, own, cases, secrets))
        changed = [label for label, rows in everything().items() if rows != before[label]]
        leaks, streams = api.run(_streams(api, alice, charlie, own))
        errors = api.errors()
        for problem in [*found[:5], *leaks[:5]]:
            print(problem, flush=True)
        return {
            "trials": len(cases) + streams,
            "violations": len(found) + len(changed) + len(leaks) + len(errors),
            "answers_that_differ_or_tell": len(found),
            "tables_changed": changed,
            "leaks_in_streams": len(leaks),
            "errors_logged": len(errors),
            "operations": len(matrix.operations()),
            "places": dict(Counter(slot.place for slot in slots)),
            "streams": streams,
        }


def _values(slot: "matrix.Slot", other: dict[str, str], *, full: bool) -> list[str]:
    """Ids to try in a place: those of its own kind, and in full all others of the same form."""
    from tests.api.matrix import known

    right = known(other, slot.kind)
    form = len(right)
    return [right, *(value for value in other.values() if full and len(value) == form and value != right)]


async def _try_all(
    api: Api, alice: "Tenant", own: dict[str, str], cases: list[tuple["matrix.Slot", str]], secrets: list[str]
) -> list[str]:
    from tests.api import matrix

    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(request: "matrix.Request") -> "matrix.Answer":
        reply = await api.ask(
            request.method,
            request.path,
            key=alice.api.token,
            body=request.body or None,
            Content_Type=request.content_type,
        )
        return matrix.Answer(reply.status, reply.headers, reply.body)

    def wait(request: "matrix.Request") -> "matrix.Answer":
        return asyncio.run_coroutine_threadsafe(ask(request), loop).result(60)

    async def one(slot: "matrix.Slot", value: str) -> list[str]:
        async with gate:
            return await asyncio.to_thread(
                lambda: list(matrix.problems(slot, value, own, wait, secrets=secrets))
            )

    return [problem for found in await asyncio.gather(*(one(*case) for case in cases)) for problem in found]


async def _streams(
    api: Api, alice: "Tenant", charlie: "Tenant", own: dict[str, str]
) -> tuple[list[str], int]:
    """Every stream of ours, read while both write: what of the other workspace is in it; how many streams."""
    from tests.api import matrix

    described = [one for one in matrix.operations() if one.streams]

    async def read(one: "matrix.Operation") -> bytes:
        chunks: list[bytes] = []
        request = matrix.plain(one, own)
        headers = {"Authorization": f"Bearer {alice.api.token}", "Accept": "text/event-stream"}
        assert api._http is not None
        try:
            async with (
                asyncio.timeout(_STREAM_S),
                api._http.get(api.base_url + request.path, headers=headers) as answer,
            ):
                assert answer.status in (200, 204), (one.id, answer.status)
                async for chunk in answer.content.iter_any():
                    chunks.append(chunk)
        except TimeoutError:
            pass
        return b"".join(chunks)

    async def write() -> bytes:
        await asyncio.sleep(_STREAM_S / 4)
        for tenant in (charlie, alice):
            body = json.dumps({"first_name": f"Seen by {tenant.workspace.slug}"}).encode()
            await api.ask("POST", "/api/v1/crm/leads", key=tenant.api.token, body=body)
        return b""

    *heard, _ = await asyncio.gather(*map(read, described), write())
    theirs = [b"Seen by charlie", str(charlie.workspace.id).encode()]
    leaks = [
        f"{one.id} tells {text!r}"
        for one, raw in zip(described, heard, strict=True)
        for text in theirs
        if text in raw
    ]
    return leaks, len(described)


if __name__ == "__main__":
    main("D1", prove)
