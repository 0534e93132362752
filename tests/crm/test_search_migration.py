"""The migration that builds the search indexes, on leads that are there, after an attempt that was killed."""

import pytest
from django.core.management import call_command
from django.db import connection

from crm.models import Lead
from crm.selectors import search
from tests import rows


@pytest.mark.django_db(transaction=True)
def test_it_fills_what_is_there_and_can_be_begun_again() -> None:
    lead = rows.lead(rows.workspace(), first_name="Ágnes")
    call_command("migrate", "crm", "0004", verbosity=0)
    try:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE crm_lead DISABLE TRIGGER crm_lead_search")
            cursor.execute("UPDATE crm_lead SET search = ''")
            cursor.execute("ALTER TABLE crm_lead ENABLE TRIGGER crm_lead_search")
            cursor.execute("CREATE INDEX lead_search ON crm_lead (search)")  # of the attempt before
        assert not Lead.objects.filter(search.words("ágnes")).exists()
        call_command("migrate", "crm", verbosity=0)
        assert Lead.objects.get(search.words("ÁGNES")).pk == lead.pk
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'lead_search'")
            assert "gin_trgm_ops" in cursor.fetchone()[0]
    finally:
        call_command("migrate", verbosity=0)  # of every app: going back took along what leans on it
