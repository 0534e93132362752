"""The first thing every entry point does: make sure that this process has a database and a broker to talk to.

`manage.py`, the supervisor and the tests call it before Django's settings are read; the settings know only
DATABASE_URL and REDIS_URL. Whoever sets both keeps the embedded engines out altogether.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tenex.engines.lease import Engines, ensure, stop

DATA_DIR_VARIABLE = "TENEX_DATA_DIR"
# Set by us for our children, "postgres+valkey:FOLDER": which addresses in the environment are those of
# engines in this folder.
ENGINES_VARIABLE = "TENEX_ENGINES"
_VARIABLES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}
_PROJECT = Path(__file__).resolve().parents[2]

# Commands that touch neither database nor broker. Django's system checks do: they ask the server for its
# version.
_WITHOUT_ENGINES = frozenset(
    {
        "collectstatic",
        "compilemessages",
        "diffsettings",
        "findstatic",
        "help",
        "makemessages",
        "rehearse",
        "startapp",
        "version",
    }
)


def data_dir() -> Path:
    """The data folder: TENEX_DATA_DIR, `var` by default; a relative path counts from the project."""
    return (_PROJECT / os.environ.get(DATA_DIR_VARIABLE, "var")).resolve()


def ensure_environment(*, throwaway: bool = False, tcp: bool = False) -> Engines | None:
    """Have DATABASE_URL and REDIS_URL in the environment: an embedded engine for each that is missing.

    Args:
        throwaway: engines of this process alone, in a temporary folder that goes away with them.
        tcp: PostgreSQL over the loopback network instead of a Unix socket.

    Returns:
        The engines that this process now holds; None if both addresses were given from outside.

    Raises:
        EngineError: an engine cannot be started.
    """
    needed = {name for name, variable in _VARIABLES.items() if not os.environ.get(variable)}
    inherited, _, folder = os.environ.get(ENGINES_VARIABLE, "").partition(":")
    if folder and Path(folder).is_dir():
        # What our parent got from these engines we use too; hold them, for it may end before us.
        root, needed = Path(folder), needed | set(filter(None, inherited.split("+")))
    elif not needed:
        return None
    else:
        root = _throwaway_data_dir() if throwaway else data_dir()
    engines = ensure(
        root, postgres="postgres" in needed, valkey="valkey" in needed, tcp=tcp, throwaway=throwaway
    )
    # An address that is set stays: it may name another database of the same server.
    if engines.database_url:
        os.environ["DATABASE_URL"] = os.environ.get("DATABASE_URL") or engines.database_url
    if engines.redis_url:
        os.environ["REDIS_URL"] = os.environ.get("REDIS_URL") or engines.redis_url
    os.environ[ENGINES_VARIABLE] = f"{'+'.join(sorted(needed))}:{engines.data_dir}"
    return engines


def is_embedded(engine: str) -> bool:
    """Whether this process was given its `postgres` or `valkey` by us (or by a parent that was)."""
    return engine in os.environ.get(ENGINES_VARIABLE, "").partition(":")[0].split("+")


def _throwaway_data_dir() -> Path:
    """A data folder that goes away with this process, for everything in it: tests leave no files."""
    root = Path(tempfile.mkdtemp(prefix="tenex-"))
    os.environ[DATA_DIR_VARIABLE] = str(root)

    def remove() -> None:
        stop(root)
        shutil.rmtree(root, ignore_errors=True)

    atexit.register(remove)
    return root


def command_needs_engines(arguments: Sequence[str]) -> bool:
    """Whether a `manage.py` command line (without the program's name) reads or writes rows or messages."""
    words = [argument for argument in arguments if not argument.startswith("-")]
    if not words or "--help" in arguments or "-h" in arguments or "--version" in arguments:
        return False
    return words[0] not in _WITHOUT_ENGINES


def fail(message: str) -> None:
    """End the process over an engine that cannot be started: one sentence, no traceback."""
    print(f"tenex: {message}", file=sys.stderr)
    sys.exit(3)
