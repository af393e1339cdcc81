"""Fills django-oauth-toolkit's database with clients (`fill FOLDER`) or counts tokens (`count`)."""

import base64
import sys
from pathlib import Path

import django
from django.core.management import call_command

SECRET = "s" * 43


def make_clients(count: int, *, is_hashed: bool, file: Path) -> None:
    """Create clients that share one secret: verifying its hash costs the same as with distinct
    ones.
    """
    from django.contrib.auth.hashers import make_password
    from oauth2_provider.models import Application

    stored = make_password(SECRET) if is_hashed else SECRET
    clients = [
        Application(
            client_id=f"{'hashed' if is_hashed else 'plain'}-{number:032}",
            client_secret=stored,
            hash_client_secret=is_hashed,
            client_type=Application.CLIENT_CONFIDENTIAL,
            authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        )
        for number in range(count)
    ]
    Application.objects.bulk_create(clients)
    pairs = [f"{client.client_id}:{SECRET}".encode() for client in clients]
    file.write_text("".join(base64.b64encode(pair).decode() + "\n" for pair in pairs))


def main() -> None:
    django.setup()
    if sys.argv[1] == "count":
        from oauth2_provider.models import AccessToken

        sys.stdout.write(str(AccessToken.objects.count()))
    else:
        call_command("migrate", verbosity=0)
        make_clients(5000, is_hashed=False, file=Path(sys.argv[2], "dot_best"))
        make_clients(100, is_hashed=True, file=Path(sys.argv[2], "dot_default"))


if __name__ == "__main__":
    main()
