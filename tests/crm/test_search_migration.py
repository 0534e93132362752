"""The migration that builds the search indexes, on leads that are there, after an attempt that was killed."""

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from crm.models import Lead
from crm.selectors import search
from tests import rows

_BEFORE, _IT = ("crm", "0004_crm_module"), ("crm", "0005_lead_search")


@pytest.mark.django_db(transaction=True)
def test_it_fills_what_is_there_and_can_be_begun_again() -> None:
    lead = rows.lead(rows.workspace(), first_name="Ágnes")
    with connection.cursor() as cursor:  # as the attempt before left it
        cursor.execute("ALTER TABLE crm_lead DISABLE TRIGGER crm_lead_search")
        cursor.execute("UPDATE crm_lead SET search = ''")
        cursor.execute("ALTER TABLE crm_lead ENABLE TRIGGER crm_lead_search")
        cursor.execute("DROP INDEX company_name_upper, lead_page_of_stage, lead_search, lead_custom")
        cursor.execute("CREATE INDEX lead_search ON crm_lead (search)")
    assert not Lead.objects.filter(search.words("ágnes")).exists()
    loader = MigrationLoader(connection)
    migration = loader.get_migration(*_IT)
    with connection.schema_editor(atomic=migration.atomic) as editor:
        migration.apply(loader.project_state(_BEFORE), editor)
    assert Lead.objects.get(search.words("ÁGNES")).pk == lead.pk
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'lead_search'")
        assert "gin_trgm_ops" in cursor.fetchone()[0]
