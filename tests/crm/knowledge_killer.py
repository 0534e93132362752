"""Workers at one document, killed (:mod:`tests.rig.kills`).

`python -m tests.crm.knowledge_killer <version id>`. Leases are so short that workers also overtake the
living.
"""

import sys
import uuid

from tests.rig import kills


def main() -> None:
    version_id = uuid.UUID(sys.argv[1])
    import django

    django.setup()
    from crm.knowledge.embedding import engines
    from crm.models import ChunkVector, DocumentVersion
    from crm.models.knowledge import LOCAL_MODEL
    from crm.services import knowledge_ingest

    knowledge_ingest.LEASE_S, knowledge_ingest.MAX_TRIES = 1.0, 10_000  # type: ignore[misc]
    knowledge_ingest.AT_ONCE = 10  # type: ignore[misc]
    engines.BATCH[LOCAL_MODEL] = 2

    def progress() -> int | None:
        if DocumentVersion.objects.get(pk=version_id).status != "pending":
            return None
        return ChunkVector.objects.filter(chunk__version=version_id).count()

    kills.until_done(lambda: knowledge_ingest.run(version_id, slice_s=0.5), progress)


if __name__ == "__main__":
    main()
