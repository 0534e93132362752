import uuid
from datetime import UTC, datetime

import pytest

from crm.models import Lead, Suppression, TimelineEntry
from crm.services import follow_ups, leads, suppressions
from tenex.errors import Conflict, InvalidInput, NotFound
from tenex.events.models import Event
from tests import rows

pytestmark = pytest.mark.django_db


def events(type_: str) -> list[Event]:
    return list(Event.objects.filter(type=type_).order_by("seq"))


def test_create_normalizes_and_announces_once() -> None:
    space = rows.workspace()
    lead = leads.create(
        space,
        actor="test",
        first_name=" Maria ",
        phone="(415) 555-0101",
        email="M@Example.com",
        company_name="Alta",
    )
    assert (lead.first_name, lead.phone, lead.email) == ("Maria", "+14155550101", "m@example.com")
    assert lead.company
    assert lead.company.name == "Alta"
    [event] = events("lead.created")
    assert event.data["lead"]["phone"] == "+14155550101"


def test_duplicate_names_the_lead_that_is_there() -> None:
    space = rows.workspace()
    first = rows.lead(space)
    with pytest.raises(Conflict) as caught:
        rows.lead(space, phone="+1 415 555 0101")
    assert caught.value.extra == {"lead_id": str(first.id)}
    other = rows.workspace("other")
    assert rows.lead(other).phone == first.phone  # another workspace may have the same person


def test_update_tells_what_changed_and_only_then() -> None:
    space = rows.workspace()
    lead = rows.lead(space)
    leads.update(space, lead.id, actor="test", first_name="Mary", title="")
    leads.update(space, lead.id, actor="test", first_name="Mary")
    [event] = events("lead.updated")
    assert event.data["changes"] == {"first_name": {"from": "Maria", "to": "Mary"}}


def test_update_is_of_this_workspace_only() -> None:
    lead = rows.lead(rows.workspace())
    with pytest.raises(NotFound):
        leads.update(rows.workspace("other"), lead.id, actor="test", first_name="Eve")


def test_a_region_is_one_of_the_country() -> None:
    space = rows.workspace()
    lead = rows.lead(space, region="new york")
    assert (lead.country, lead.region) == ("US", "NY")
    for given, place in (
        ({"country": "Canada", "region": "ON"}, ("CA", "ON")),
        ({"region": "quebec"}, ("CA", "QC")),
        ({"country": "ca"}, ("CA", "QC")),
        ({"country": "US"}, ("US", "")),
        ({"region": "TX"}, ("US", "TX")),
        ({"region": ""}, ("US", "")),
        ({"country": ""}, ("", "")),
    ):
        lead = leads.update(space, lead.id, actor="test", **given)  # type: ignore[arg-type]
        assert (lead.country, lead.region) == place, given
    with pytest.raises(InvalidInput) as caught:
        leads.update(space, lead.id, actor="test", country="CA", region="TX")
    assert caught.value.loc == ("body", "region")


@pytest.mark.parametrize(
    ("field", "value", "type_"),
    [
        ("phone", "12", "phone"),
        ("email", "no", "email"),
        ("time_zone", "Mars/Base", "time_zone"),
        ("time_zone", "../../etc/passwd", "time_zone"),
        ("country", "Narnia", "country"),
        ("region", "Bavaria", "region"),
        ("stage", "hot", "enum"),
        ("company_id", uuid.uuid4(), "missing"),
        ("owner_id", uuid.uuid4(), "missing"),
        ("first_name", "x" * 101, "string_too_long"),
        ("opted_out_at", None, "extra_forbidden"),
    ],
)
def test_bad_fields_name_themselves(field: str, value: object, type_: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        leads.create(rows.workspace(), actor="test", **{field: value})  # type: ignore[arg-type]
    assert (caught.value.loc[-1], caught.value.type_) == (field, type_)


def test_nul_and_half_surrogates_do_not_reach_the_database() -> None:
    lead = leads.create(
        rows.workspace(), actor="test", first_name="A\x00b\ud800", custom={"k\x00": "v\ud800"}
    )
    lead.refresh_from_db()
    assert lead.first_name == "Ab\ufffd"
    assert lead.custom == {"k": "v\ufffd"}


def test_archive_frees_the_number() -> None:
    space = rows.workspace()
    lead = rows.lead(space)
    leads.archive(space, lead.id, actor="test")
    leads.archive(space, lead.id, actor="test")
    assert rows.lead(space).id != lead.id
    assert len(events("lead.updated")) == 1


def test_note() -> None:
    space = rows.workspace()
    lead = rows.lead(space)
    leads.note(space, lead.id, "likes tea", actor="test")
    assert TimelineEntry.objects.get(lead=lead, type="note").data["text"] == "likes tea"
    with pytest.raises(InvalidInput):
        leads.note(space, lead.id, "  ", actor="test")


# --- opt-out ---


def test_opt_out_reaches_every_lead_with_the_number_and_outlives_them() -> None:
    space = rows.workspace()
    lead = rows.lead(space)
    assert suppressions.add(space.id, "+14155550101", source="api", reason="asked by mail")
    assert not suppressions.add(space.id, "+1 (415) 555-0101", source="call")
    lead.refresh_from_db()
    assert lead.opted_out_at
    [event] = events("lead.opted_out")
    assert event.data["lead_id"] == str(lead.id)
    assert "+14155550101" not in str(event.data)
    row = Suppression.objects.get()
    assert "5550101" not in row.phone_hint
    assert len(bytes(row.phone_hash)) == 32
    assert suppressions.is_suppressed(space.id, "+14155550101")
    assert not suppressions.is_suppressed(rows.workspace("other").id, "+14155550101")
    lead.delete()
    again = rows.lead(space)
    assert again.opted_out_at, "a new lead with a suppressed number has opted out"


def test_opt_out_of_a_stranger_is_announced_too() -> None:
    space = rows.workspace()
    suppressions.add(space.id, "+14155550199", source="key", call_id=uuid.uuid4())
    [event] = events("lead.opted_out")
    assert event.data["lead_id"] is None
    assert event.call_id


def test_opt_out_of_a_withheld_number_marks_the_lead() -> None:
    space = rows.workspace()
    lead = rows.lead(space, phone=None)
    assert leads.opt_out(space, lead.id, source="api").opted_out_at
    assert not Suppression.objects.exists()


def test_changing_to_a_suppressed_number_opts_out() -> None:
    space = rows.workspace()
    suppressions.add(space.id, "+14155550102", source="import")
    lead = rows.lead(space)
    assert leads.update(space, lead.id, actor="test", phone="+14155550102").opted_out_at


@pytest.mark.django_db(transaction=True)
def test_two_opt_outs_at_once_are_one() -> None:
    space = rows.workspace()
    rows.lead(space)
    results = rows.together(*[lambda: suppressions.add(space.id, "+14155550101", source="call")] * 6)
    assert sorted(results) == [False] * 5 + [True]
    assert len(events("lead.opted_out")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_creators_of_one_number() -> None:
    space = rows.workspace()
    results = rows.together(*[lambda: rows.lead(space)] * 6)
    [lead] = [result for result in results if isinstance(result, Lead)]
    conflicts = [result for result in results if isinstance(result, Conflict)]
    assert len(conflicts) == 5
    assert {conflict.extra["lead_id"] for conflict in conflicts} == {str(lead.id)}
    assert len(events("lead.created")) == 1


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_lead_see_each_others_changes() -> None:
    space = rows.workspace()
    lead = rows.lead(space)
    rows.together(
        *[lambda name=name: leads.update(space, lead.id, actor="test", title=name) for name in "abcdef"]
    )
    found = events("lead.updated")
    chain = [event.data["changes"]["title"] for event in found]
    assert [step["from"] for step in chain] == ["", *[step["to"] for step in chain][:-1]]
    assert [event.seq for event in Event.objects.order_by("seq")] == list(range(1, 8))


# --- follow-ups, write-back ---


def test_a_call_has_one_callback() -> None:
    lead = rows.lead(rows.workspace())
    call_id = uuid.uuid4()
    first = follow_ups.schedule(lead, due_at=datetime(2030, 1, 1, 9, tzinfo=UTC), call_id=call_id)
    second = follow_ups.schedule(
        lead, due_at=datetime(2030, 1, 2, 9, tzinfo=UTC), call_id=call_id, note="later"
    )
    assert (second.pk, second.note) == (first.pk, "later")
    assert second.due_at == datetime(2030, 1, 2, 9, tzinfo=UTC)


def write(lead: Lead, call_id: uuid.UUID, day: int, qualification: str = "qualified") -> bool:
    return leads.write_back(
        lead.id,
        call_id=call_id,
        called_at=datetime(2030, 1, day, tzinfo=UTC),
        outcome=qualification,
        qualification=qualification,
        talked=True,
        summary="Good call",
        data={},
    )


def test_write_back_once_and_in_the_order_of_the_calls() -> None:
    lead = rows.lead(rows.workspace())
    new, old = uuid.uuid4(), uuid.uuid4()
    assert write(lead, new, 2)
    assert not write(lead, new, 2)
    assert write(lead, old, 1, "unqualified"), "an older call that is finalized later"
    lead.refresh_from_db()
    assert (lead.stage, lead.qualification, lead.last_outcome) == ("qualified", "qualified", "qualified")
    assert lead.last_call_at == datetime(2030, 1, 2, tzinfo=UTC)
    assert len(events("lead.updated")) == 2
    assert TimelineEntry.objects.filter(type="call.verdict").count() == 2


def test_not_knowing_overwrites_nothing() -> None:
    lead = rows.lead(rows.workspace())
    write(lead, uuid.uuid4(), 1)
    write(lead, uuid.uuid4(), 2, "undetermined")
    lead.refresh_from_db()
    assert (lead.qualification, lead.last_outcome, lead.stage) == ("qualified", "undetermined", "qualified")


@pytest.mark.django_db(transaction=True)
def test_parallel_write_backs_of_one_call() -> None:
    lead = rows.lead(rows.workspace())
    call_id = uuid.uuid4()
    results = rows.together(*[lambda: write(lead, call_id, 1)] * 6)
    assert sorted(results) == [False] * 5 + [True]
    assert len(events("lead.updated")) == 1
