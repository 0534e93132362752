"""Whom a question about a person means, and what is known of them."""

import uuid
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from crm.models import Lead
from crm.selectors import leads as read_leads
from crm.services import suppressions
from tenex.errors import NotFound
from tenex.lib import phone as phones
from tenex.workspaces.models import Workspace
from voice.models import Erasure, LegalHold
from voice.selectors import calls as read_calls
from voice.selectors import retention as read
from voice.services import persons
from voice.services.retention import holds_on


@dataclass(frozen=True, slots=True)
class Subject:
    """A lead, or else a number."""

    lead: Lead | None = None
    phone: str = ""
    """E.164."""

    @property
    def names(self) -> list[str]:
        """What may be typed before anything is erased; the first is what people are asked for."""
        if self.lead is None:
            return [self.phone]
        named = [self.lead.phone, self.lead.email, self.lead.name]
        return [name for name in named if name] or [str(self.lead.pk)[:8]]

    @property
    def name(self) -> str:
        return self.names[0]

    def is_named(self, typed: str) -> bool:
        """Whether that is one of their names, whatever its spaces and capitals."""
        return _plain(typed) in [_plain(name) for name in self.names]

    @property
    def whom(self) -> dict[str, Any]:
        """As `erasure.ask` and `person_archive.write` take it."""
        return {"lead_id": self.lead.pk} if self.lead is not None else {"phone": self.phone}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of somebody."""

    counts: dict[str, int]
    """Rows by kind, as an export would have them."""
    documents: dict[str, str]
    """Id -> title of the workspace's own documents that mention them."""
    holds: list[LegalHold]
    """Those for which an erasure would wait."""
    erasures: list[Erasure]
    """Those that were asked for, the newest first; done ones by the hash of their number."""


def of_lead(workspace: Workspace, lead_id: uuid.UUID) -> Subject:
    """Raises:
    NotFound: no such lead here.
    """
    return Subject(lead=read_leads.get(workspace.pk, lead_id))


def of_phone(workspace: Workspace, phone: str) -> Subject:
    """Raises:
    InvalidInput: that is no phone number.
    """
    return Subject(phone=phones.normalize(phone, region=workspace.default_region))


def of_call(workspace: Workspace, call_id: uuid.UUID) -> Subject:
    """Whoever was at the other end.

    Raises:
        NotFound: no such call here, or it has no number that could tell who it was.
    """
    call = read_calls.bare(workspace, call_id)
    number = phones.normalize_or_none(call.remote_number)
    if number is None:
        raise NotFound("this call has no number that could tell who it was")
    return Subject(phone=number)


def known(workspace: Workspace, subject: Subject) -> Known:
    person = persons.find(
        workspace, phone=subject.phone, lead_ids=[subject.lead.pk] if subject.lead is not None else []
    )
    hashes = [suppressions.digest(number) for number in person.numbers]
    of_leads = (Q(lead_ids__contains=[str(lead.pk)]) for lead in person.leads)
    about = reduce(or_, of_leads, Q(subject_hash__in=hashes))
    return Known(
        persons.count(person),
        persons.documents(person),
        list(holds_on(workspace, person.leads, person.calls)),
        list(read.erasures(workspace).filter(about)),
    )


def _plain(text: str) -> str:
    return "".join(text.split()).casefold()
