"""What the database cannot keep is changed before it gets there."""

import orjson
import pytest
from django.db import connection

from tenex.lib import storable

NASTY = [
    "nul \x00 and half \ud83d a pair",
    float("nan"),
    float("inf"),
    1e30,
    -1e300,
    2**63,
    -(2**63) - 1,
    {"deep\x00": [{"list": [10**40, "\udfff"]}]},
]


@pytest.mark.django_db
@pytest.mark.parametrize("value", NASTY, ids=repr)
def test_what_is_made_storable_comes_back_as_json(value: object) -> None:
    made = storable.json_value(value)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb", [orjson.dumps(made).decode()])
        kept = cursor.fetchone()[0]
    assert orjson.loads(kept) == made


@pytest.mark.parametrize("value", [0, -1, 1.5, 2**63 - 1, -(2**63), 9.007199254740993e15, True, None, "text"])
def test_what_can_be_kept_is_left_alone(value: object) -> None:
    assert storable.json_value(value) == value
