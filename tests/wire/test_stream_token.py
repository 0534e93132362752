"""The media token: what is signed is what is checked; every fault is a value."""

import dataclasses

import pytest

from voice.wire.stream_token import MAX_CHARS, StreamClaims, TokenFault, issue, verify

KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
CLAIMS = StreamClaims("ws1", "0197-call", "n0nce", 1000)


def token(**changes: object) -> str:
    return issue(dataclasses.replace(CLAIMS, **changes), key_id="k1", key=KEYS["k1"])  # type: ignore[arg-type]


def test_a_good_token_returns_its_claims_until_it_expires() -> None:
    assert verify(token(), keys=KEYS, now=999.9) == CLAIMS
    assert verify(token(), keys=KEYS, now=1000) == TokenFault("expired")


def test_keys_rotate() -> None:
    new = issue(CLAIMS, key_id="k2", key=KEYS["k2"])
    assert verify(new, keys=KEYS, now=0) == CLAIMS
    assert verify(token(), keys={"k2": KEYS["k2"]}, now=0) == TokenFault("unknown-key")


def test_a_key_of_the_same_name_and_another_secret_refuses() -> None:
    assert verify(token(), keys={"k1": b"x" * 32}, now=0) == TokenFault("bad-signature")


def test_no_character_can_be_changed() -> None:
    good = token()
    for at in range(len(good)):
        other = "A" if good[at] != "A" else "B"
        assert isinstance(verify(good[:at] + other + good[at + 1 :], keys=KEYS, now=0), TokenFault)


def test_the_head_of_one_token_does_not_take_the_signature_of_another() -> None:
    mine, theirs = token(), token(call="other")
    assert verify(theirs.rpartition(".")[0] + "." + mine.rpartition(".")[2], keys=KEYS, now=0) == TokenFault(
        "bad-signature"
    )


@pytest.mark.parametrize(
    "text", ["", ".", "...", "t1.k1..", "t2.k1.a.b", "t1.k1.a", "t1.k1.a.b.c", "ä", "\ud800", "x" * 10_000]
)
def test_garbage_is_a_fault_never_an_exception(text: str) -> None:
    assert isinstance(verify(text, keys=KEYS, now=0), TokenFault)


@pytest.mark.parametrize("part", ["", "a|b", "a.b", "ä", "x" * 65, "a\n"])
def test_parts_that_could_be_read_in_two_ways_are_our_own_mistake(part: str) -> None:
    with pytest.raises(ValueError, match="token parts"):
        token(call=part)


def test_it_fits_into_a_parameter_of_the_carrier() -> None:
    long = StreamClaims("w" * 64, "c" * 64, "n" * 64, 10**10)
    text = issue(long, key_id="k1", key=KEYS["k1"])
    assert len(text) <= MAX_CHARS
    assert verify(text, keys=KEYS, now=0) == long
