"""Two workers at one piece of work that are killed with SIGKILL at random instants, until it is done.

A test calls :func:`run` with a module (tests.crm.import_killer, …). That one runs in a process of its own,
with Django loaded once and no connection open, so that workers can be forked as fast as they die.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

KILLS = 8
LIMIT_S = 240.0


def run(module: str, key: object) -> int:
    """`python -m module key` on the test's database; how often the workers were killed."""
    from django.db import connection

    place = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    env = {**os.environ, "DATABASE_URL": urlunsplit(place), "DATABASE_POOL_SIZE": "0", "LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-m", module, str(key)],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT_S + 60,
        check=True,
    )
    return int(done.stdout)


def until_done(work: Callable[[], object], progress: Callable[[], int | None]) -> None:
    """Fork workers that call `work` again and again; print the number of kills.

    `progress` is how far the rows say the work is, None when it is done. Each time that it has moved, all
    workers die at some instant of about as long as the move took.
    """
    from django.db import connection

    draw = random.Random(5)
    deadline = time.monotonic() + LIMIT_S
    connection.close()
    workers = [_fork(work) for _ in range(2)]
    kills, killed_at, moved_at = 0, 0, time.monotonic()
    while time.monotonic() < deadline and (reached := progress()) is not None:
        connection.close()
        if reached > killed_at and kills < KILLS:  # so that a slow machine gets to the end as well
            time.sleep(draw.uniform(0, min(2.0, time.monotonic() - moved_at)))
            for index, worker in enumerate(workers):
                _kill(worker)
                workers[index] = _fork(work)
            kills, killed_at, moved_at = kills + 1, reached, time.monotonic()
        time.sleep(0.02)
    for worker in workers:
        _kill(worker)
    print(kills, flush=True)


def _fork(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        from django.db import connection

        connection.connection = None  # never the parent's socket
        while True:
            work()
            time.sleep(0.01)
    finally:
        os._exit(1)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
