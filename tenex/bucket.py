"""The S3 bucket of the settings: one that waits for a bounded time, and reads parts of objects."""

from typing import Any, cast

from botocore.config import Config
from django.conf import settings
from storages.backends.s3 import S3Storage

CONNECT_TIMEOUT_S = 4
READ_TIMEOUT_S = 20
TRIES = 3


class Bucket(S3Storage):  # type: ignore[misc]  # storages is not typed
    """Boto's own defaults wait for a minute, five times over; a page or a task must not."""

    def __init__(self, **options: Any) -> None:
        style = options.get("addressing_style", settings.AWS_S3_ADDRESSING_STYLE)
        options.setdefault(
            "client_config",
            Config(
                s3=cast(Any, {"addressing_style": style}),  # None is boto's own choice
                signature_version=options.get("signature_version", settings.AWS_S3_SIGNATURE_VERSION),
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": TRIES},
            ),
        )
        super().__init__(**options)

    @property
    def bucket(self) -> Any:
        """Of this thread: boto's resources are not to be shared."""
        return self.connection.Bucket(self.bucket_name)

    def read_part(self, name: str, first: int, length: int) -> bytes:
        """So many bytes from `first` on; the object is not fetched as a whole."""
        if length <= 0:
            return b""
        found = self.bucket.Object(self._normalize_name(name)).get(
            Range=f"bytes={first}-{first + length - 1}"
        )
        with found["Body"] as body:
            data: bytes = body.read()
        return data
