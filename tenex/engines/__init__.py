"""PostgreSQL and Valkey for an installation that names none: out of Python packages, in the data folder.

    engines = ensure(data_dir)     # starts them, or finds the running ones of the same folder
    engines.database_url, engines.redis_url
    stop()                         # this process needs them no longer; the last one ends them

Every process that uses the engines calls `ensure` and so holds them; the kernel lets go for a process that
dies. Nothing here imports Django, reads a setting or needs root.
"""

from tenex.engines.errors import EngineError
from tenex.engines.lease import Engines, ensure, stop

__all__ = ["EngineError", "Engines", "ensure", "stop"]
