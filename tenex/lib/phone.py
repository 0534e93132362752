"""Phone numbers: E.164 in, E.164 out; masked in logs."""

import phonenumbers

from tenex.errors import InvalidInput


def normalize(raw: str, *, region: str | None = None, loc: tuple[str | int, ...] = ("body", "phone")) -> str:
    """E.164 form of `raw`.

    `region` (ISO 3166 code) reads national numbers. Numbers must be *possible*, not assigned: test
    ranges such as +1 415 555 01xx are accepted.

    Raises:
        InvalidInput: not a possible phone number.
    """
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException as exc:
        raise InvalidInput("not a phone number in international form", loc=loc, type_="phone") from exc
    if not phonenumbers.is_possible_number(number):
        raise InvalidInput("not a possible phone number", loc=loc, type_="phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normalize_or_none(raw: str) -> str | None:
    """E.164 form, or None for withheld, SIP and client addresses (twilio.md 7: never assume E.164)."""
    try:
        return normalize(raw)
    except InvalidInput:
        return None


def pretty(number: str) -> str:
    """International form with spaces, for people; what is no number stays as it is."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def mask(number: str) -> str:
    """For logs: country and last two digits only."""
    return f"{number[:3]}…{number[-2:]}" if len(number) > 6 else "…"
