"""Sealed texts open with their key at their place, and nowhere else."""

import base64

import pytest

from tenex.lib import sealed

KEY = bytes(range(32))
AT = ("workspace", "table.column:1")


def test_what_is_sealed_opens_at_its_place() -> None:
    text = sealed.seal(KEY, "k1", "Grüße".encode(), *AT)
    assert sealed.unseal(KEY, text, *AT).decode() == "Grüße"
    assert sealed.key_id_of(text) == "k1"
    assert text.startswith(sealed.prefix("k1"))
    assert "Gr" not in text


def test_two_seals_of_one_text_differ() -> None:
    assert sealed.seal(KEY, "k1", b"x", *AT) != sealed.seal(KEY, "k1", b"x", *AT)


@pytest.mark.parametrize(
    "place", [("other", AT[1]), (AT[0], "table.column:2"), (AT[0] + AT[1], ""), AT[::-1], (*AT, ""), ()]
)
def test_nothing_opens_elsewhere(place: tuple[str, ...]) -> None:
    text = sealed.seal(KEY, "k1", b"secret", *AT)
    with pytest.raises(sealed.WrongKey):
        sealed.unseal(KEY, text, *place)


def test_another_key_or_a_renamed_one_opens_nothing() -> None:
    text = sealed.seal(KEY, "k1", b"secret", *AT)
    with pytest.raises(sealed.WrongKey):
        sealed.unseal(bytes(32), text, *AT)
    with pytest.raises(sealed.WrongKey):
        sealed.unseal(KEY, text.replace(".k1.", ".k2."), *AT)


def test_every_changed_byte_is_noticed() -> None:
    text = sealed.seal(KEY, "k1", b"secret", *AT)
    head, _, encoded = text.rpartition(".")
    body = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    for place in range(len(body)):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(sealed.WrongKey):
            sealed.unseal(KEY, f"{head}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}", *AT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_abc",
        "s1",
        "s1.k1",
        "s1.k1.",
        "s1.k1.AAAA",
        "s2.k1.AAAA",
        "s1..AAAA",
        "s1.k 1.AAAA",
        "s1.k1.*",
    ],
)
def test_what_is_no_sealed_text_is_said_to_be_none(text: str) -> None:
    with pytest.raises(sealed.NotSealed):
        sealed.unseal(KEY, text, *AT)


def test_keys_of_purposes_differ() -> None:
    made = {sealed.derive(KEY, "a"), sealed.derive(KEY, "b"), sealed.derive(bytes(32), "a"), KEY}
    assert len(made) == 4
    assert {len(key) for key in made} == {32}
