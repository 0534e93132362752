"""Workers at one upload, killed (:mod:`tests.rig.kills`) until every row is in the batch.

`python -m tests.services.upload_killer <upload id>`. Leases are so short that workers also overtake the
living.
"""

import sys
import uuid

from tests.rig import kills


def main() -> None:
    upload_id = uuid.UUID(sys.argv[1])
    import django

    django.setup()
    from crm.services import import_run
    from voice.models import BatchUpload
    from voice.services import batch_uploads

    import_run.LEASE_S, import_run.BATCH_ROWS, import_run.MAX_TRIES = 0.3, 25, 10_000
    batch_uploads.MAX_LEADS = 20  # type: ignore[attr-defined]
    import_id = BatchUpload.objects.get(pk=upload_id).lead_import_id

    def work() -> None:
        import_run.run(import_id, slice_s=0.1)
        batch_uploads.portion(upload_id)

    def progress() -> int | None:
        upload = BatchUpload.objects.get(pk=upload_id)
        return upload.taken_count if upload.done_at is None else None

    kills.until_done(work, progress)


if __name__ == "__main__":
    main()
