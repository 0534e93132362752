"""D8: no write sets what is not its to set.

Every field that any answer shows and every column of our tables, pushed into every object that a POST, PUT or
PATCH takes and that does not have it, beside a body that is good without it: refused by name with 422, and
afterwards every row of every table is as it was.
"""

import os
import random
from collections import Counter
from typing import Any

from tests.prove import dial_rig
from tests.prove.dial_rig import main

_QUICK = 1500


def prove(full: bool) -> dict[str, Any]:
    os.environ.update({"DEBUG": "1", "LOG_LEVEL": "ERROR", "CELERY_BROKER_URL": "memory://"})
    os.environ.update({"DJANGO_SETTINGS_MODULE": "tenex.settings", "RATE_LIMIT_PER_MINUTE": "1000000"})
    from tenex.engines.bootstrap import ensure_environment

    ensure_environment(throwaway=True)
    with dial_rig.database():
        from tenex.workspaces.services import tokens
        from tests.api import read_only
        from tests.api.test_tenants import asker, everything, ids
        from tests.api.world import Api, make

        alice = make("alice", 0)
        own = ids(alice)
        pushes = list(read_only.pushes())
        if not full:
            pushes = random.Random(8).sample(pushes, min(_QUICK, len(pushes)))
        before = everything()
        ask = asker(Api(tokens.issue(alice.owner)))  # a person: some writes are not for keys
        found = [problem for push in pushes if (problem := read_only.problem(push, own, ask))]
        changed = [label for label, rows in everything().items() if rows != before[label]]
        for problem in found[:10]:
            print(problem, flush=True)
        return {
            "trials": len(pushes),
            "violations": len(found) + len(changed),
            "not_refused_by_name": len(found),
            "tables_changed": changed,
            "writes": len(read_only.writes()),
            "fields": len({push.field for push in pushes}),
            "by_operation": dict(Counter(one.split(":")[0] for one in found)),
        }


if __name__ == "__main__":
    main("D8", prove)
