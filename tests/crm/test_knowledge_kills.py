"""A document whose workers are killed at random instants ends as if nobody had been."""

import os
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from crm.models import Chunk, ChunkVector, Document
from crm.services import knowledge
from tenex.events.models import Event
from tests import rows
from tests.crm.knowledge_work import newest, ready

PASSAGES = 40


@pytest.mark.django_db(transaction=True)
def test_every_passage_once_and_the_old_ones_until_then() -> None:
    space = rows.workspace()
    document = knowledge.put(space, "Terms", "# Before\nThis is the text that was there before.")
    ready(document)
    text = "\n\n".join(f"# Part {n}\nWhat is said in part number {n} of the terms." for n in range(PASSAGES))
    knowledge.put(space, "Terms", text)
    version = newest(document)
    place = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    env = {**os.environ, "DATABASE_URL": urlunsplit(place), "DATABASE_POOL_SIZE": "0", "LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.crm.knowledge_killer", str(version.pk), "240"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    assert int(done.stdout) >= 3, "it was done before anybody died"
    document = Document.objects.get(pk=document.pk)
    assert (document.status, document.served, document.latest) == ("indexed", 2, 2)
    live = Chunk.objects.filter(document=document, live=True)
    assert list(live.order_by("position").values_list("position", flat=True)) == list(range(PASSAGES))
    assert Chunk.objects.count() == ChunkVector.objects.count() == PASSAGES
    told = Event.objects.filter(type="knowledge.document.indexed")
    assert sorted(one.data["version"] for one in told) == [1, 2]
