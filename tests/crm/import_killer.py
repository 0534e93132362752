"""Workers at one import that are killed with SIGKILL at random instants, until it is done.

Started by test_import_kills with DATABASE_URL set: `python -m tests.crm.import_killer <import id> <seconds>`.
Leases are so short that workers also overtake the living. Prints the number of kills.
"""

import os
import random
import signal
import sys
import time
import uuid

KILLS = 8


def main() -> int:
    import_id, limit_s = uuid.UUID(sys.argv[1]), float(sys.argv[2])
    import django

    django.setup()
    from django.db import connection

    from crm.models import LeadImport
    from crm.services import import_run

    import_run.LEASE_S, import_run.BATCH_ROWS, import_run.MAX_TRIES = 0.3, 25, 10_000
    draw = random.Random(5)
    deadline = time.monotonic() + limit_s
    workers = [_fork(import_id) for _ in range(2)]
    kills, killed_at, moved_at = 0, 0, time.monotonic()
    while time.monotonic() < deadline:
        row = LeadImport.objects.get(pk=import_id)
        if row.finished_at is not None:
            break
        if row.next_byte > killed_at and kills < KILLS:  # so that a slow machine gets to the end as well
            batch_s = min(2.0, time.monotonic() - moved_at)
            connection.close()
            time.sleep(draw.uniform(0, batch_s))
            for index, worker in enumerate(workers):
                _kill(worker)
                workers[index] = _fork(import_id)
            kills, killed_at, moved_at = kills + 1, row.next_byte, time.monotonic()
        connection.close()
        time.sleep(0.02)
    for worker in workers:
        _kill(worker)
    print(kills, flush=True)
    return 0


def _fork(import_id: uuid.UUID) -> int:
    child = os.fork()
    if child:
        return child
    try:
        from django.db import connection

        from crm.services import import_run

        connection.connection = None  # never the parent's socket
        while True:
            import_run.run(import_id, slice_s=0.5)
            time.sleep(0.01)
    finally:
        os._exit(1)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
