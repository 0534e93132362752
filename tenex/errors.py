"""Errors are types: code branches on `code`, people read the message."""

from typing import Any


class TenexError(Exception):
    """Base of every error that we raise on purpose.

    `code` is machine readable and documented; `status` is the HTTP status of the answer; `retryable`
    says whether the same request may succeed later without a change.
    """

    code = "internal_error"
    status = 500
    retryable = False

    def __init__(
        self, detail: str = "", *, code: str | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(detail or self.code)
        self.detail = detail or self.code
        if code is not None:
            self.code = code
        self.extra = extra or {}


class InvalidInput(TenexError):
    """A field of the request is wrong. `loc` is its path, as in the 422 answer."""

    code = "invalid_input"
    status = 422

    def __init__(
        self, detail: str, *, loc: tuple[str | int, ...] = ("body",), type_: str = "value_error"
    ) -> None:
        super().__init__(detail)
        self.loc = loc
        self.type_ = type_


class NotFound(TenexError):
    code = "not_found"
    status = 404


def existing[T](row: T | None, otherwise: str = "there is no such thing here") -> T:
    """What was looked for, if it is there.

    Raises:
        NotFound: it is not; `otherwise` says so.
    """
    if row is None:
        raise NotFound(otherwise)
    return row


class Conflict(TenexError):
    code = "conflict"
    status = 409


class Forbidden(TenexError):
    code = "forbidden"
    status = 403


class Unauthorized(TenexError):
    code = "unauthorized"
    status = 401


class Gone(TenexError):
    code = "gone"
    status = 410


class Unavailable(TenexError):
    """Something that we depend on does not answer."""

    code = "unavailable"
    status = 503
    retryable = True
