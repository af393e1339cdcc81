"""The files of executions in a bucket of Amazon S3 or a compatible service.

Files pass through the server in pieces: no client ever gets a URL of the bucket, and no process
holds a whole file in memory.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from itertools import islice
from threading import Lock
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError
from django.conf import settings
from django.core.files import File
from storages.backends.s3 import S3Storage
from urllib3.exceptions import HTTPError

from executions import bucket_deadlines
from executions.bucket_deadlines import BucketSlots, Deadline, watched
from executions.file_storage import FilesUnavailable, StoredFile, raising_files_unavailable

CONNECTION_ERRORS = (BotoCoreError, HTTPError)
REFUSALS = (*CONNECTION_ERRORS, Boto3Error, ClientError)
FIRST_READ, MAX_READ = 64 * 1024, 512 * 1024
"""Bytes fetched by one request: few at first, for clients that need few, then twice as many each
time.
"""
UPLOAD_PART_BYTES = 8 * 1024**2
"""Larger files are uploaded in parts of this many bytes, in sequence."""
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-")
MAX_DELETED_KEYS = 1000
"""The maximum number of keys in a delete request."""
TIMEOUTS = {"connect_timeout": 2, "read_timeout": 5}
"""In seconds, of each read; each request is tried twice while a thread, and often a transaction,
waits. The whole of a request has a deadline as well.
"""
OUTAGE_PAUSE_SECONDS = 3.0
"""How long requests fail fast after one that got no response."""
READINESS_TIMEOUTS = {"connect_timeout": 1, "read_timeout": 1}
"""For readiness checks, which are made every few seconds."""
READINESS_SECONDS = 2.0
"""For the whole of a readiness check."""


class BucketStorage(S3Storage):
    """django-storages' S3Storage with one connection pool for all threads, timeouts, reads in
    pieces, and every failure raised as FilesUnavailable. See FileStorage for the rest.
    """

    def __init__(self, **options: Any) -> None:
        # Servers other than Amazon's may not support the checksums that boto3 adds by default.
        checksums = "when_required" if options.get("endpoint_url") else "when_supported"
        config = Config(
            **TIMEOUTS,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=64,
            signature_version="s3v4",
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        )
        usual = {
            "client_config": config,
            "transfer_config": TransferConfig(
                use_threads=False,
                multipart_threshold=UPLOAD_PART_BYTES,
                multipart_chunksize=UPLOAD_PART_BYTES,
            ),
            # Names are ids: a file left by a failed request is the same file, or an orphan.
            "file_overwrite": True,
            "default_acl": None,
        }
        self._lock, self._away_until = Lock(), 0.0
        self._slots = BucketSlots(max(settings.WEB_THREADS // 2, 1))
        super().__init__(**usual | options)

    @cached_property
    def connection(self) -> Any:
        """A connection shared by all threads: creating one is slow, and its client is
        thread-safe.
        """
        with self._lock:
            if "connection" in self.__dict__:
                return self.__dict__["connection"]
            found = self._create_session().resource(
                "s3",
                region_name=self.region_name,
                endpoint_url=self.endpoint_url,
                config=self.client_config,
            )
            bucket_deadlines.observe(found.meta.client)
            self.__dict__["connection"] = found
            return found

    @property
    def client(self) -> Any:
        return self.connection.meta.client

    def key(self, name: str) -> str:
        """The object's key in the bucket."""
        key: str = self._normalize_name(name)
        return key

    def _open(self, name: str, mode: str = "rb") -> File[Any]:
        if mode != "rb":
            raise ValueError("Files of a bucket are opened for reading bytes only.")
        with self._failing_fast():
            size = self.size(name)  # raises FileNotFoundError if there is none
            if size is None:
                raise WrongAnswer(start=0, length=0)
        buffered = io.BufferedReader(_Reader(self, name, size), MAX_READ)
        opened: File[Any] = File(buffered, name)
        opened.size = size  # otherwise it would seek to find it
        return opened

    def _save(self, name: str, content: File[Any]) -> str:
        with self._failing_fast():
            saved: str = super()._save(name, content)
            return saved

    def delete(self, name: str) -> None:
        with self._failing_fast():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with self._failing_fast():
            return bool(super().exists(name))

    def get_modified_time(self, name: str) -> datetime:
        with self._failing_fast():
            found: datetime = super().get_modified_time(name)
            return found

    def url(self, *args: Any, **kwargs: Any) -> str:
        raise NotImplementedError("Files have no public address: they are served by AgentIdP.")

    def read(self, name: str, start: int, length: int) -> bytes:
        """Read at most `length` bytes from `start`."""
        span = f"bytes={start}-{start + length - 1}"
        with self._failing_fast():
            for is_last in (False, True):
                found = self.client.get_object(
                    Bucket=self.bucket_name, Key=self.key(name), Range=span
                )
                try:
                    with found["Body"] as body:
                        _require_span(found, start, length)
                        return _whole(body, length)
                except CONNECTION_ERRORS:  # boto3 does not retry when a response body is cut off
                    if is_last:
                        raise
        raise AssertionError("The loop returns or raises.")

    @contextmanager
    def _failing_fast(self) -> Iterator[None]:
        """Fail fast for a while after the bucket did not answer, so that no more threads are
        blocked by it.
        """
        if time.monotonic() < self._away_until:
            raise FilesUnavailable
        with raising_files_unavailable(*REFUSALS), self._slots.hold() as request:
            try:
                yield
                request.require_in_time()
            except REFUSALS as error:
                if request.is_over or isinstance(error, CONNECTION_ERRORS):
                    self._away_until = time.monotonic() + OUTAGE_PAUSE_SECONDS
                raise

    def remove_folder(self, name: str) -> list[str]:
        problems: list[str] = []
        with self._failing_fast():
            keys = iter([entry["Key"] for page in self._pages(name) for entry in page["Contents"]])
            while batch := [{"Key": key} for key in islice(keys, MAX_DELETED_KEYS)]:
                wanted = {"Objects": batch, "Quiet": True}
                answer = self.client.delete_objects(Bucket=self.bucket_name, Delete=wanted)
                problems += [error.get("Code", "unknown") for error in answer.get("Errors", ())]
        return problems

    def folders(self, name: str) -> Iterator[str]:
        for page in self._lazily(self._pages(name, Delimiter="/")):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"].rstrip("/").rpartition("/")[2]

    def files(self, name: str) -> Iterator[StoredFile]:
        above = len(self.key(name)) - len(name)
        for page in self._lazily(self._pages(name)):
            for entry in page["Contents"]:
                yield StoredFile(entry["Key"][above:], entry["LastModified"])

    def _lazily(self, pages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """These pages, each of them a request of its own."""
        while True:
            with self._failing_fast():
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _pages(self, name: str, **more: str) -> Iterator[dict[str, Any]]:
        """Pages of up to a thousand objects whose keys begin with this name."""
        paginator = self.client.get_paginator("list_objects_v2")
        found = paginator.paginate(Bucket=self.bucket_name, Prefix=f"{self.key(name)}/", **more)
        for page in found:
            yield {"Contents": ()} | page

    def problem(self) -> str:
        try:
            with watched(Deadline(READINESS_SECONDS)) as request:
                self._prober.head_bucket(Bucket=self.bucket_name)
            request.require_in_time()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return f"The bucket {self.bucket_name} {WHY.get(status, f'answers {status}.')}"
        except (BotoCoreError, HTTPError) as error:
            return f"The bucket {self.bucket_name} cannot be reached: {type(error).__name__}."
        return ""

    def root_problem(self) -> str:
        return ""  # a bucket knows no accounts of this machine

    @cached_property
    def _prober(self) -> Any:
        once = {"total_max_attempts": 1}
        config = self.client_config.merge(Config(**READINESS_TIMEOUTS, retries=once))
        found = self._create_session().client(
            "s3", region_name=self.region_name, endpoint_url=self.endpoint_url, config=config
        )
        bucket_deadlines.observe(found)
        return found


WHY = {
    301: "is in another region: set AGENTIDP_FILES_BUCKET_REGION.",
    400: "refuses the request: the region or the keys are wrong.",
    403: "refuses access with these keys or, if none are set, with this machine's credentials.",
    404: "does not exist.",
}


class WrongAnswer(BotoCoreError):
    """The bucket sent other bytes than those asked for, for example because it ignores Range."""

    fmt = "The bucket answered a request for {length} bytes from {start} with something else."


def _require_span(found: dict[str, Any], start: int, length: int) -> None:
    """Raise WrongAnswer unless the response promises exactly these bytes.

    Without a range, a response is the whole object.
    """
    first = 0
    if found["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.PARTIAL_CONTENT:
        match = CONTENT_RANGE.match(found.get("ContentRange", ""))
        first = int(match[1]) if match else -1
    if first != start or found["ContentLength"] != length:
        raise WrongAnswer(start=start, length=length)


def _whole(body: Any, length: int) -> bytes:
    """The body; raises IncompleteReadError if it has another length than promised."""
    content = bytes(body.read())
    if len(content) != length:
        raise IncompleteReadError(actual_bytes=len(content), expected_bytes=length)
    return content


class _Reader(io.RawIOBase):
    """A read-ahead reader of one object; no connection stays open between two reads."""

    def __init__(self, storage: BucketStorage, name: str, size: int) -> None:
        self._storage, self._name, self._size = storage, name, size
        self._position, self._ahead = 0, FIRST_READ

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._ahead, self._size - self._position)
        if length <= 0:
            return 0
        found = self._storage.read(self._name, self._position, length)
        buffer[: len(found)] = found
        self._position += len(found)
        self._ahead = min(2 * self._ahead, MAX_READ)
        return len(found)
