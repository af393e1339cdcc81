"""A third-party server with the protocol of Amazon S3, and buckets in it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from django.conf import settings
from django.core.files.storage import storages
from django.test import override_settings

from agentidp.devtools.bootstrap import FOREIGN
from executions.file_bucket import BucketStorage
from tests.live.deployment import free_port, running, wait_until_open

KEYS = {"access_key": "AKIAOFTHETESTS", "secret_key": "of-the-tests"}


@contextmanager
def server(log: Path, port: int = 0) -> Iterator[str]:
    """Run moto in an environment of its own; yields its URL."""
    port = port or free_port()
    command = [sys.executable, "-S", "-m", "moto.server", "--host", "127.0.0.1", "--port", port]
    environment = os.environ | {"PYTHONPATH": str(FOREIGN)}
    with running(command, environment, log) as process:
        wait_until_open(port, process, log)
        yield f"http://127.0.0.1:{port}"


def make_bucket(address: str) -> str:
    """Create a bucket; return its name."""
    name = f"files-{uuid4().hex}"
    boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"],
    ).create_bucket(Bucket=name)
    return name


@contextmanager
def files_in(address: str, bucket: str, **options: Any) -> Iterator[BucketStorage]:
    """Use the bucket as the storage of files during the block."""
    options = {"endpoint_url": address, "bucket_name": bucket, "location": "of/us"} | KEYS | options
    storage = {"BACKEND": "executions.file_bucket.BucketStorage", "OPTIONS": options}
    with override_settings(STORAGES=settings.STORAGES | {"default": storage}):
        found = storages["default"]
        assert isinstance(found, BucketStorage)
        yield found
