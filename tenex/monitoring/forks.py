"""Where the counts of a worker's processes meet.

A Celery worker forks, and its children do the work while its main process is what a scrape can reach. So
each child keeps its counts in a file that the main process adds up: the library's multi-process mode, which
must be chosen before the library is imported. Files of children that died stay, so nothing counts backward.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def is_worker(arguments: Sequence[str]) -> bool:
    """Whether a command line is that of a Celery worker: `celery … worker`, `python -m celery … worker`."""
    return bool(arguments) and "celery" in Path(arguments[0]).parts and "worker" in arguments[1:]


def share_counts(*, wanted: bool, arguments: Sequence[str] = sys.argv) -> Path | None:
    """Let the processes that this one forks count together, if it is a worker that serves its counts.

    A folder of its own in the place for temporary files, gone with this process: two workers of one machine
    share nothing, and no count of before is met again.
    """
    if not wanted or not is_worker(arguments):
        return None
    folder = tempfile.mkdtemp(prefix="tenex-counts-")
    os.environ[VARIABLE] = folder
    atexit.register(partial(_remove, folder, os.getpid()))
    return Path(folder)


def _remove(folder: str, owner: int) -> None:
    """Not when a forked child ends."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
