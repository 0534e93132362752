"""A data folder whose cluster is migrated and at rest, for throw-away engines to begin with.

python -m tests.rig.seed FOLDER      then TENEX_ENGINE_SEED=FOLDER
"""

import os
import subprocess
import sys
from pathlib import Path

from tenex import engines
from tenex.supervisor.plan import MANAGE
from tests.rig.process import PROJECT

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")


def make(folder: Path) -> None:
    """Make the cluster, migrate its database, stop the server.

    Raises:
        EngineError: the engine cannot be started.
        subprocess.CalledProcessError: a migration failed.
    """
    addresses = engines.ensure(folder, valkey=False)
    try:
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        env |= {"DATABASE_URL": addresses.database_url, "REDIS_URL": "redis://127.0.0.1:1/0", "DEBUG": "1"}
        env["PGOPTIONS"] = "-c synchronous_commit=off"
        subprocess.run(
            [sys.executable, MANAGE, "migrate", "--verbosity=0"],
            cwd=PROJECT,
            env={**env, "TENEX_DATA_DIR": str(folder)},
            stdin=subprocess.DEVNULL,
            check=True,
        )
    finally:
        engines.stop(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
