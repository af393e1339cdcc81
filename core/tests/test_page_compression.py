import gzip

import pytest
from django.test import Client


@pytest.mark.django_db
def test_pages_are_compressed_for_who_accepts_it(client: Client) -> None:
    plain = client.get("/login")
    packed = client.get("/login", headers={"Accept-Encoding": "gzip, br"})

    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed["Vary"]
    assert b"Sign in" in gzip.decompress(packed.content)
    assert len(packed.content) < len(plain.content) / 2


@pytest.mark.django_db
def test_responses_of_the_api_are_left_to_the_proxy(client: Client) -> None:
    metadata = client.get("/.well-known/openid-configuration", headers={"Accept-Encoding": "gzip"})

    assert metadata.status_code == 200
    assert "Content-Encoding" not in metadata
