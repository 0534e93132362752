"""The policy's sources against the URLs that the storage really makes."""

from fnmatch import fnmatchcase

import pytest
from storages.backends.s3 import S3Storage

from tenex.lib import buckets


@pytest.mark.parametrize(
    ("endpoint", "region", "style"),
    [
        ("http://127.0.0.1:8333", "us-east-1", "path"),
        ("https://objects.example.com", "eu-1", None),
        ("https://objects.example.com", None, "virtual"),
        (None, "eu-central-1", None),
        (None, "eu-central-1", "virtual"),
        (None, "us-east-1", "path"),
        (None, None, None),
    ],
)
def test_what_the_storage_signs_is_allowed_and_another_bucket_is_not(
    endpoint: str | None, region: str | None, style: str | None
) -> None:
    def url(bucket: str) -> str:
        storage = S3Storage(
            bucket_name=bucket,
            endpoint_url=endpoint,
            region_name=region,
            addressing_style=style,
            access_key="k",
            secret_key="s",
            signature_version="s3v4",
        )
        return str(storage.url("recordings/w/c/RE1.wav"))

    def allowed(address: str) -> bool:
        sources = buckets.origins("voice-recordings", endpoint, region, style)
        return any(
            address.startswith(one) if one.endswith("/") else fnmatchcase(address, f"{one}/*")
            for one in sources
        )

    assert allowed(url("voice-recordings"))
    assert not allowed(url("other-recordings"))
    assert not allowed("https://evil.example/voice-recordings/x.wav")
