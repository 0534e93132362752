"""Where presigned URLs of an S3 bucket lead, as sources of a content security policy. Pure."""

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
