"""Workers at one import, killed (:mod:`tests.rig.kills`): `python -m tests.crm.import_killer <import id>`.

Leases are so short that workers also overtake the living.
"""

import sys
import uuid

from tests.rig import kills


def main() -> None:
    import_id = uuid.UUID(sys.argv[1])
    import django

    django.setup()
    from crm.models import LeadImport
    from crm.services import import_run

    import_run.LEASE_S, import_run.BATCH_ROWS, import_run.MAX_TRIES = 0.3, 25, 10_000

    def progress() -> int | None:
        row = LeadImport.objects.get(pk=import_id)
        return row.next_byte if row.finished_at is None else None

    kills.until_done(lambda: import_run.run(import_id, slice_s=0.5), progress)


if __name__ == "__main__":
    main()
