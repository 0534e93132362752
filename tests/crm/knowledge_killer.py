"""Workers at one document that are killed with SIGKILL at random instants, until it is done.

Started by test_knowledge_kills with DATABASE_URL set: `python -m tests.crm.knowledge_killer <version id>
<seconds>`. Leases are so short that workers also overtake the living. Prints the number of kills.
"""

import os
import random
import signal
import sys
import time
import uuid

KILLS = 8


def main() -> int:
    version_id, limit_s = uuid.UUID(sys.argv[1]), float(sys.argv[2])
    import django

    django.setup()
    from django.db import connection

    from crm.knowledge.embedding import engines
    from crm.models import DocumentVersion
    from crm.models.knowledge import LOCAL_MODEL
    from crm.services import knowledge_ingest

    knowledge_ingest.LEASE_S, knowledge_ingest.MAX_TRIES = 1.0, 10_000  # type: ignore[misc]
    knowledge_ingest.AT_ONCE = 10  # type: ignore[misc]
    engines.BATCH[LOCAL_MODEL] = 2
    draw = random.Random(5)
    deadline = time.monotonic() + limit_s
    workers = [_fork(version_id) for _ in range(2)]
    kills = 0
    while time.monotonic() < deadline:
        if DocumentVersion.objects.get(pk=version_id).status != "pending":
            break
        connection.close()
        time.sleep(draw.uniform(0.05, 1.2))
        if kills < KILLS:  # so that a slow machine gets to the end as well
            kills += 1
            _kill(workers.pop(0))
            workers.append(_fork(version_id))
    connection.close()
    for worker in workers:
        _kill(worker)
    print(kills, flush=True)
    return 0


def _fork(version_id: uuid.UUID) -> int:
    child = os.fork()
    if child:
        return child
    try:
        from django.db import connection

        from crm.services import knowledge_ingest

        connection.connection = None  # never the parent's socket
        while True:
            knowledge_ingest.run(version_id, slice_s=0.5)
            time.sleep(0.02)
    finally:
        os._exit(1)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
