"""A document whose workers are killed at random instants ends as if nobody had been."""

import pytest

from crm.models import Chunk, ChunkVector, Document
from crm.services import knowledge
from tenex.events.models import Event
from tests import rows
from tests.crm.knowledge_work import newest, ready
from tests.rig import kills

PASSAGES = 40


@pytest.mark.django_db(transaction=True)
def test_every_passage_once_and_the_old_ones_until_then() -> None:
    space = rows.workspace()
    document = knowledge.put(space, "Terms", "# Before\nThis is the text that was there before.")
    ready(document)
    text = "\n\n".join(f"# Part {n}\nWhat is said in part number {n} of the terms." for n in range(PASSAGES))
    knowledge.put(space, "Terms", text)
    version = newest(document)
    killed = kills.run("tests.crm.knowledge_killer", version.pk)
    assert killed >= 3, "it was done before anybody died"
    document = Document.objects.get(pk=document.pk)
    assert (document.status, document.served, document.latest) == ("indexed", 2, 2)
    live = Chunk.objects.filter(document=document, live=True)
    assert list(live.order_by("position").values_list("position", flat=True)) == list(range(PASSAGES))
    assert Chunk.objects.count() == ChunkVector.objects.count() == PASSAGES
    told = Event.objects.filter(type="knowledge.document.indexed")
    assert sorted(one.data["version"] for one in told) == [1, 2]
