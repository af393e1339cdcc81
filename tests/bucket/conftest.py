"""A person who reads files, and a file in a bucket."""

import pytest
from django.test import Client

from conftest import ClientFor
from executions.file_bucket import BucketStorage
from executions.models import ExecutionFile
from executions.tests.factories import make_execution, make_file
from organizations.models import Organization
from organizations.tests.factories import make_membership


@pytest.fixture
def operator(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization, "operator"))


@pytest.fixture
def file(organization: Organization, bucket: BucketStorage) -> ExecutionFile:
    return make_file(make_execution(organization), "out", "big.bin", bytes(range(256)) * 4096)


def url_of(file: ExecutionFile) -> str:
    return f"/files/{file.execution.fid}/{file.area}/{file.path}"
