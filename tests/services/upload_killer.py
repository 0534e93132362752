"""Workers at one upload that are killed with SIGKILL at random instants, until every row is in the batch.

Started by test_upload_kills with DATABASE_URL set: `python -m tests.services.upload_killer <upload id> <s>`.
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
    upload_id, limit_s = uuid.UUID(sys.argv[1]), float(sys.argv[2])
    import django

    django.setup()
    from django.db import connection

    from crm.services import import_run
    from voice.models import BatchUpload
    from voice.services import batch_uploads

    import_run.LEASE_S, import_run.BATCH_ROWS, import_run.MAX_TRIES = 0.3, 25, 10_000
    batch_uploads.MAX_LEADS = 20  # type: ignore[attr-defined]
    draw = random.Random(5)
    deadline = time.monotonic() + limit_s
    upload = BatchUpload.objects.get(pk=upload_id)
    connection.close()
    workers = [_fork(upload.lead_import_id, upload_id) for _ in range(2)]
    kills, killed_at, moved_at = 0, 0, time.monotonic()
    while time.monotonic() < deadline:
        upload = BatchUpload.objects.get(pk=upload_id)
        if upload.done_at is not None:
            break
        if upload.taken_count > killed_at and kills < KILLS:  # so that a slow machine gets to the end as well
            portion_s = min(2.0, time.monotonic() - moved_at)
            connection.close()
            time.sleep(draw.uniform(0, portion_s))
            for index, worker in enumerate(workers):
                _kill(worker)
                workers[index] = _fork(upload.lead_import_id, upload_id)
            kills, killed_at, moved_at = kills + 1, upload.taken_count, time.monotonic()
        connection.close()
        time.sleep(0.02)
    for worker in workers:
        _kill(worker)
    print(kills, flush=True)
    return 0


def _fork(import_id: uuid.UUID, upload_id: uuid.UUID) -> int:
    child = os.fork()
    if child:
        return child
    try:
        from django.db import connection

        from crm.services import import_run
        from voice.services import batch_uploads

        connection.connection = None  # never the parent's socket
        while True:
            import_run.run(import_id, slice_s=0.1)
            batch_uploads.portion(upload_id)
            time.sleep(0.01)
    finally:
        os._exit(1)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main())
