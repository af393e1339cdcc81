"""Clients of the OAuth endpoints, which send forms."""

import base64
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.test import Client

FORM = "application/x-www-form-urlencoded"


class FormClient(Client):
    """A test client whose `post` sends a form, given as a mapping or as text."""

    def post(self, path: str, data: Any = "", **more: Any) -> Any:  # type: ignore[override]
        text = data if isinstance(data, str) else urlencode(data)
        more.setdefault("content_type", FORM)
        return super().post(path, text, **more)


def bearer(token: object) -> FormClient:
    return FormClient(headers={"Authorization": f"Bearer {token}"})


def basic(name: object, secret: str) -> dict[str, str]:
    """The Authorization header of RFC 6749 section 2.3.1, with both parts form-encoded."""
    pair = f"{quote_plus(str(name))}:{quote_plus(secret)}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
