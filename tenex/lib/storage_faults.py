"""What a file storage fails with, in one place: disks raise OSError, a bucket what its client is made of.

A client that nobody has imported cannot have raised anything, so looking for its errors costs no import.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tenex.errors import Gone, Unavailable

_OF_CLIENTS: Final = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "boto3.exceptions": ("Boto3Error",),
    "s3transfer.exceptions": ("RetriesExceededError", "S3UploadFailedError", "S3DownloadFailedError"),
    "urllib3.exceptions": ("HTTPError",),
}
_MISSING: Final = frozenset({"404", "NoSuchKey"})


class StorageFault(Unavailable):
    """The storage could not be asked, or refused. `reason` is a short code that tells nothing of the data."""

    code = "storage_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the file storage does not do it now ({reason})")
        self.reason = reason


class FileMissing(Gone):
    """The storage answers, and has no such file."""

    code = "recording_missing"


def faults() -> tuple[type[Exception], ...]:
    """For an `except` clause around a storage; evaluated only when something was raised."""
    found: list[type[Exception]] = [OSError]
    for module, names in _OF_CLIENTS.items():
        known = sys.modules.get(module)
        if known is not None:
            found += [getattr(known, name) for name in names if hasattr(known, name)]
    return tuple(found)


def reason_of(exc: BaseException) -> str:
    """`InvalidAccessKeyId`, `NoSuchBucket`, … where the server said so, else the kind of error."""
    answer = getattr(exc, "response", None)
    told = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return str(told or type(exc).__name__)[:60]


@contextmanager
def mapped() -> Iterator[None]:
    """
    Raises:
        FileMissing, StorageFault: whatever the storage raised, as one of ours.
    """
    try:
        yield
    except FileNotFoundError as exc:
        raise FileMissing("the file is not in the storage") from exc
    except faults() as exc:
        reason = reason_of(exc)
        if reason in _MISSING:
            raise FileMissing("the file is not in the storage") from exc
        raise StorageFault(reason) from exc
