"""A batch out of a file whose workers are killed at random instants ends as if nobody had been."""

import io
from collections import Counter

import pytest

from crm.models import Consent, LeadImportRow
from crm.services import imports
from tests.dialing_rows import agent, number, workspace
from tests.rig import kills
from voice.models import Recipient
from voice.services import batch_uploads

ROWS = 300
BAD = 37
"""Every so-manieth row has no phone that could be one."""
TWICE = 50
"""So many rows at the end are of leads that came before."""


def _file() -> io.BytesIO:
    fresh = ROWS - TWICE
    lines = [
        f"N{n},{'12' if n % BAD == 0 else f'+1206555{1000 + n % fresh}'},v{n},2026-05-01" for n in range(ROWS)
    ]
    return io.BytesIO(("name,phone,plan,consent_date\n" + "\n".join(lines)).encode())


@pytest.mark.django_db(transaction=True)
def test_no_recipient_twice_and_none_lost() -> None:
    space = workspace()
    number(space, agent(space))
    batch = batch_uploads.create(
        space,
        _file(),
        file_name="n.csv",
        options=imports.Options(on_duplicate="update"),  # type: ignore[arg-type]
        parts={"objective": "x", "draft": True},
        actor="test",
    ).batch
    killed = kills.run("tests.services.upload_killer", batch.uploads.get().pk)
    upload = batch.uploads.get()
    assert upload.done_at is not None
    assert killed >= 5, "it was done before anybody died"
    good = [n for n in range(ROWS) if n % BAD]
    wanted = {f"+1206555{1000 + n % (ROWS - TWICE)}" for n in good}
    rows = Recipient.objects.filter(batch=batch)
    assert Counter(rows.values_list("lead__phone", flat=True)) == Counter(wanted)
    assert list(rows.order_by("position").values_list("position", flat=True)) == list(
        range(1, len(wanted) + 1)
    )
    assert upload.taken_count == len(wanted)
    assert upload.duplicate_count == len(good) - len(wanted)
    assert upload.lead_import.errors.count() == ROWS - len(wanted)
    assert Consent.objects.filter(workspace=space).count() == len(wanted)
    assert not LeadImportRow.objects.exists()
