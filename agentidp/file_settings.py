"""Storage of the files of executions: a folder, or a bucket of S3 or a compatible service."""

from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from agentidp.env import env, wrong

DETAILS = (
    "AGENTIDP_FILES_BUCKET_FOLDER",
    "AGENTIDP_FILES_BUCKET_REGION",
    "AGENTIDP_FILES_BUCKET_ENDPOINT",
    "AGENTIDP_FILES_BUCKET_KEY_ID",
    "AGENTIDP_FILES_BUCKET_SECRET_KEY",
)


def storage_of_files() -> dict[str, Any]:
    """Django's settings of the default storage.

    Raise ImproperlyConfigured, with one line, if a value is invalid.
    """
    bucket = env.matching(
        "AGENTIDP_FILES_BUCKET",
        r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]",
        "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens",
    )
    folder = env.matching(
        "AGENTIDP_FILES_BUCKET_FOLDER",
        r"[\w\-]+(/[\w\-]+)*",
        "a path like agentidp/files, without slashes around",
    )
    region = env.matching(
        "AGENTIDP_FILES_BUCKET_REGION", r"[a-z0-9\-]{1,50}", "a region like eu-central-1"
    )
    endpoint = env.matching(
        "AGENTIDP_FILES_BUCKET_ENDPOINT",
        r"https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?",
        "an address like https://s3.example.com",
    )
    key_id = env.matching("AGENTIDP_FILES_BUCKET_KEY_ID", r"\S{3,128}", "the id of an access key")
    secret = env.text("AGENTIDP_FILES_BUCKET_SECRET_KEY").strip()
    if not bucket:
        for name in DETAILS:
            if env.text(name):
                raise ImproperlyConfigured(
                    f"{name} needs AGENTIDP_FILES_BUCKET, the bucket's name."
                )
        return {"BACKEND": "executions.file_folder.FolderStorage"}
    if bool(key_id) != bool(secret):
        raise ImproperlyConfigured(
            "AGENTIDP_FILES_BUCKET_KEY_ID and AGENTIDP_FILES_BUCKET_SECRET_KEY "
            "must both be set, or neither: then the machine's own credentials "
            "are used."
        )
    if len(secret) > 1000 or any(each.isspace() for each in secret):
        raise wrong("AGENTIDP_FILES_BUCKET_SECRET_KEY", "the secret of an access key")
    if not (find_spec("storages") and find_spec("boto3")):
        raise ImproperlyConfigured(
            "AGENTIDP_FILES_BUCKET needs more packages: "
            "pip install -r requirements-s3.txt -c constraints.txt"
        )
    options: dict[str, Any] = {
        "bucket_name": bucket,
        "location": folder,
        "region_name": region or None,
        "endpoint_url": endpoint.rstrip("/") or None,
    }
    if key_id:
        # Ignore other credentials that the environment may provide.
        options |= {"access_key": key_id, "secret_key": secret}
        options |= {"security_token": None, "session_profile": None}
    return {"BACKEND": "executions.file_bucket.BucketStorage", "OPTIONS": options}
