"""An import whose workers are killed at random instants ends as if nobody had been."""

import io
from collections import Counter

import pytest

from crm.models import Lead, LeadImport, OnDuplicate, TimelineEntry
from crm.services import imports
from crm.services.imports import Options
from tenex.events.models import Event
from tests import rows
from tests.rig import kills

ROWS = 1500
BAD = 37
"""Every so-manieth row has no phone that could be one."""


def _file() -> io.BytesIO:
    lines = [
        f"N{n},{'12' if n % BAD == 0 else ''},{f'n{n}@x.example' if n % 3 == 0 else ''},Firm {n % 40}"
        for n in range(ROWS)
    ]
    return io.BytesIO(("name,phone,email,company\n" + "\n".join(lines)).encode())


@pytest.mark.django_db(transaction=True)
def test_no_row_twice_and_none_lost() -> None:
    space = rows.workspace()
    options = Options(on_duplicate=OnDuplicate.ERROR)
    row = imports.create(space, _file(), file_name="n.csv", options=options, actor="test")
    killed = kills.run("tests.crm.import_killer", row.id)
    row = LeadImport.objects.get(pk=row.pk)
    failed = len(range(0, ROWS, BAD))
    assert (row.status, row.rows_read, row.failed_count) == ("completed", ROWS, failed)
    assert killed >= 5, "it was done before anybody died"
    made = Counter(Lead.objects.filter(workspace=space).values_list("last_name", "first_name"))
    assert len(made) == row.created_count == ROWS - failed
    assert set(made.values()) == {1}
    assert row.errors.count() == failed
    assert list(row.errors.values_list("line", flat=True)) == [n + 2 for n in range(0, ROWS, BAD)]
    told = Event.objects.filter(type="lead.created")
    assert told.count() == ROWS - failed
    assert list(told.order_by("seq").values_list("seq", flat=True)) == list(range(1, ROWS - failed + 1))
    assert TimelineEntry.objects.count() == ROWS - failed
