"""An S3 bucket as settings have it: where its presigned URLs lead, how it encrypts what it is given. Pure."""

from urllib.parse import urlsplit


def origins(bucket: str, endpoint_url: str | None, region: str | None, style: str | None) -> list[str]:
    """The sources that name this bucket and nothing else.

    With the bucket in the path the source has it too: such a host serves the buckets of others. `style` is
    `path`, `virtual`, or None for boto's own choice, which is `virtual` where the name allows it; then both
    are named.
    """
    if endpoint_url:
        parts = urlsplit(endpoint_url)
        hosts = [(parts.scheme, parts.netloc)]
    else:
        names = ["s3.amazonaws.com", *([f"s3.{region}.amazonaws.com"] if region else [])]
        hosts = [("https", name) for name in names]
    in_path = [f"{scheme}://{host}/{bucket}/" for scheme, host in hosts]
    in_host = [f"{scheme}://{bucket}.{host}" for scheme, host in hosts]
    match style:
        case "path":
            return in_path
        case "virtual":
            return in_host
    return [*in_host, *in_path]


def encryption(kms_key_id: str) -> dict[str, str]:
    """What a put says so that the server encrypts: by a key of its key service, or by the bucket's own."""
    if kms_key_id:
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}
    return {"ServerSideEncryption": "AES256"}
