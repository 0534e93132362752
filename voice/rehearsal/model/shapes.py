"""Checks of JSON values, one combinator a shape, with the refusals that the vendor's API answers.

A check takes a decoded JSON value and its path (`session.audio.output.voice`) and raises :class:`Refusal`;
it never changes the value. Codes and wording follow what the service answers in the field
(`unknown_parameter`, `missing_required_parameter`, `invalid_type`, `invalid_value`, …).
"""

from collections.abc import Callable, Mapping, Sequence

from tenex.errors import TenexError

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type Check = Callable[[Json, str], None]


class Refusal(TenexError):
    """The request is not one that the real service accepts. `param` is the path of the culprit."""

    code = "invalid_value"
    status = 400

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_value",
        param: str | None = None,
        error_type: str = "invalid_request_error",
        status: int = 400,
    ) -> None:
        super().__init__(message, code=code)
        self.param = param
        self.error_type = error_type
        self.status = status

    def body(self) -> dict[str, Json]:
        """The vendor's error object: type, code, message, param."""
        return {"type": self.error_type, "code": self.code, "message": self.detail, "param": self.param}


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def wrong_type(path: str, expected: str, value: Json) -> Refusal:
    got = _kind(value)
    return Refusal(
        f"Invalid type for '{path}': expected {expected}, but got {got} instead.",
        code="invalid_type",
        param=path,
    )


def unknown(path: str) -> Refusal:
    return Refusal(f"Unknown parameter: '{path}'.", code="unknown_parameter", param=path)


def missing(path: str) -> Refusal:
    return Refusal(f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)


def unsupported_value(path: str, value: Json, allowed: Sequence[str]) -> Refusal:
    quoted = [f"'{name}'" for name in allowed]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
    return Refusal(f"Invalid value: '{value}'. Supported values are: {listed}.", param=path)


def anything(_value: Json, _path: str) -> None:
    """Accepts every value."""


def string(*, max_length: int | None = None, min_length: int = 0) -> Check:
    def check(value: Json, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "a string", value)
        if max_length is not None and len(value) > max_length:
            raise Refusal(
                f"Invalid '{path}': string too long. Expected a string with maximum length {max_length}, "
                f"but got a string with length {len(value)} instead.",
                code="string_above_max_length",
                param=path,
            )
        if len(value) < min_length:
            raise Refusal(
                f"Invalid '{path}': empty string. Expected a string with minimum length {min_length}, "
                f"but got an empty string instead.",
                code="empty_string",
                param=path,
            )

    return check


def boolean(value: Json, path: str) -> None:
    if not isinstance(value, bool):
        raise wrong_type(path, "a boolean", value)


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """A number within `low … high`; `whole` refuses decimals."""
    kind = "integer" if whole else "decimal"

    def check(value: Json, path: str) -> None:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (whole and not isinstance(value, int))
        ):
            raise wrong_type(path, "an integer" if whole else "a decimal", value)
        for wrong, word, limit in (
            (value > high, "above maximum", f"<= {high}"),
            (value < low, "below minimum", f">= {low}"),
        ):
            if wrong:
                side = "above_max" if value > high else "below_min"
                raise Refusal(
                    f"Invalid '{path}': {kind} {word} value. "
                    f"Expected a value {limit}, but got {value} instead.",
                    code=f"{kind}_{side}_value",
                    param=path,
                )

    return check


def choice(*allowed: str) -> Check:
    def check(value: Json, path: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(path, "a string", value)
        if value not in allowed:
            raise unsupported_value(path, value, allowed)

    return check


def nullable(inner: Check) -> Check:
    def check(value: Json, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def array(inner: Check, *, max_length: int | None = None) -> Check:
    def check(value: Json, path: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(path, "an array", value)
        if max_length is not None and len(value) > max_length:
            raise Refusal(
                f"Invalid '{path}': array too long. Expected an array with maximum length {max_length}, "
                f"but got an array with length {len(value)} instead.",
                code="array_above_max_length",
                param=path,
            )
        for index, member in enumerate(value):
            inner(member, f"{path}[{index}]")

    return check


def record(fields: Mapping[str, Check], *, required: Sequence[str] = ()) -> Check:
    """An object of exactly these keys."""

    def check(value: Json, path: str) -> None:
        prefix = f"{path}." if path else ""
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        for name in required:
            if name not in value:
                raise missing(prefix + name)
        for name, member in value.items():
            if name not in fields:
                raise unknown(prefix + name)
            fields[name](member, prefix + name)

    return check


def string_map(*, max_pairs: int, max_key: int, max_value: int) -> Check:
    """Metadata: at most `max_pairs` strings by short keys."""

    def check(value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        if len(value) > max_pairs:
            raise Refusal(
                f"Invalid '{path}': too many properties. Expected an object with at most {max_pairs} "
                f"properties, but got an object with {len(value)} properties instead.",
                code="object_above_max_properties",
                param=path,
            )
        for key, member in value.items():
            string(max_length=max_key)(key, path)
            string(max_length=max_value)(member, f"{path}.{key}")

    return check


def tagged(variants: Mapping[str, Check], *, tag: str = "type") -> Check:
    """An object whose `tag` names its shape."""

    def check(value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise wrong_type(path, "an object", value)
        if tag not in value:
            raise missing(f"{path}.{tag}")
        name = value[tag]
        if not isinstance(name, str) or name not in variants:
            raise unsupported_value(f"{path}.{tag}", name, tuple(variants))
        variants[name](value, path)

    return check


def either_string(allowed: Sequence[str], other: Check) -> Check:
    """One of a few words, or something that is not a string."""

    def check(value: Json, path: str) -> None:
        if isinstance(value, str):
            choice(*allowed)(value, path)
        else:
            other(value, path)

    return check


METADATA = string_map(max_pairs=16, max_key=64, max_value=512)
"""16 pairs, keys up to 64 and values up to 512 characters (openai_realtime.md 4)."""
