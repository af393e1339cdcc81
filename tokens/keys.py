"""The ring of signing keys, loaded once and looked up by `kid`.

A new key is published at once, signs from `active_from` (when every verifier has refreshed its
JWKS), stops signing at `retired_at`, and is removed after its last token has expired.
"""

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import serialization
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from joserfc.jwk import ECKey, RSAKey

from core.database_clock import database_time
from core.postgresql.base import replace_if_lost
from organizations.models import Organization
from tokens.models import MAX_TOKEN_LIFETIME, SigningKey

RELOAD_AFTER_SECONDS = 5.0
PUBLISHED_BEFORE_USE = settings.JWKS_MAX_AGE + timedelta(seconds=2 * RELOAD_AFTER_SECONDS)
"""A process may serve the old JWKS until its next reload, and a verifier may cache that for its
maximum age."""
KEPT_AFTER_LAST_TOKEN = timedelta(minutes=5)
RSA_BITS = 2048
DEFAULT_ALGORITHM: str = Organization.Algorithm.ES256


@dataclass(frozen=True)
class LoadedKey:
    """A key ready for use. The key determines the algorithm; a token cannot choose it."""

    kid: str
    algorithm: str
    private_key: Any
    public_key: Any
    public_jwk: dict[str, Any]
    active_from: datetime
    retired_at: datetime | None


class KeyRing:
    """The accepted keys, reloaded from the database every few seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, LoadedKey] = {}
        self._loaded_at = float("-inf")
        self._clock_difference = 0.0

    def by_kid(self, kid: str) -> LoadedKey | None:
        """The key with this id, if it is still accepted. An unknown id causes no extra query."""
        return self._current().get(kid)

    def signing_key(self, algorithm: str) -> LoadedKey:
        """The newest key of this algorithm that already signs.

        Creates the first one when it is needed. Only the first key of the default algorithm signs
        at once. The first key of another algorithm is published first, and the default algorithm
        signs until every verifier can have it.
        """
        key = self._active_key(algorithm)
        if key is None and not self._has_pending_key(algorithm):
            make_first_key(algorithm)
            self.forget()
            key = self._active_key(algorithm)
        if key is None and self._has_pending_key(algorithm):
            if algorithm != DEFAULT_ALGORITHM:
                return self.signing_key(DEFAULT_ALGORITHM)
            key = self._pending_key(algorithm)  # the database's clock was ahead when it was created
        if key is None:
            raise ImproperlyConfigured(
                f"No {algorithm} key signs at the moment. Run: manage.py rotate_signing_key "
                f"--algorithm {algorithm} --emergency"
            )
        return key

    def published(self) -> list[dict[str, Any]]:
        """The public keys as JSON Web Keys (RFC 7517), signing keys first.

        The default algorithm's comes first, because some verifiers try only the first key.
        """
        in_use = [self._active_key(algorithm) for algorithm in Organization.Algorithm.values]
        first = [key for key in in_use if key is not None]
        first.sort(key=lambda key: key.algorithm != DEFAULT_ALGORITHM)
        others = [key for key in self._current().values() if key not in first]
        others.sort(key=lambda key: key.active_from, reverse=True)
        return [key.public_jwk for key in (*first, *others)]

    def forget(self) -> None:
        """Reload the keys at the next use."""
        self._loaded_at = float("-inf")

    def _current(self) -> dict[str, LoadedKey]:
        if time.monotonic() - self._loaded_at > RELOAD_AFTER_SECONDS:
            with self._lock:
                if time.monotonic() - self._loaded_at > RELOAD_AFTER_SECONDS:
                    replace_if_lost(connection)
                    self._clock_difference = database_time().timestamp() - time.monotonic()
                    self._keys = self._load()
                    self._loaded_at = time.monotonic()
        return self._keys

    def _load(self) -> dict[str, LoadedKey]:
        # Decrypting a private key takes milliseconds, so loaded keys are reused.
        return {row.kid: self._loaded_key(row) for row in accepted_keys()}

    def _now(self) -> datetime:
        """The time of the database's clock, which dates the keys: this process's may be wrong."""
        return datetime.fromtimestamp(time.monotonic() + self._clock_difference, UTC)

    def _loaded_key(self, row: SigningKey) -> LoadedKey:
        loaded = self._keys.get(row.kid)
        if loaded and (loaded.active_from, loaded.retired_at) == (row.active_from, row.retired_at):
            return loaded
        private_key = loaded.private_key if loaded else _load_private_key(row)
        return LoadedKey(
            kid=row.kid,
            algorithm=row.algorithm,
            private_key=private_key,
            public_key=private_key.public_key(),
            public_jwk=row.public_jwk,
            active_from=row.active_from,
            retired_at=row.retired_at,
        )

    def _has_pending_key(self, algorithm: str) -> bool:
        """Whether a key of this algorithm is published but does not sign yet."""
        return self._pending_key(algorithm) is not None

    def _pending_key(self, algorithm: str) -> LoadedKey | None:
        """The next published key of this algorithm that does not sign yet."""
        keys = self._current().values()
        now = self._now()
        coming = [key for key in keys if key.algorithm == algorithm and key.active_from > now]
        return min(coming, key=lambda key: key.active_from, default=None)

    def _active_key(self, algorithm: str) -> LoadedKey | None:
        keys = self._current().values()
        now = self._now()
        usable = [
            key
            for key in keys
            if key.algorithm == algorithm
            and key.active_from <= now
            and (key.retired_at is None or key.retired_at > now)
        ]
        return max(usable, key=lambda key: key.active_from, default=None)


key_ring = KeyRing()


@transaction.atomic
def make_first_key(algorithm: str = DEFAULT_ALGORITHM) -> None:
    """Create a key of the algorithm if there never was one.

    A key of the default algorithm signs at once, since no verifier has cached a JWKS without it.
    Verifiers may have done so before a key of another algorithm appears.
    """
    lock_ring()
    if SigningKey.objects.filter(algorithm=algorithm).exists():
        return
    is_default = algorithm == DEFAULT_ALGORITHM
    wait = timedelta(0) if is_default else PUBLISHED_BEFORE_USE
    now = database_time()
    new_signing_key(algorithm, created_at=now, active_from=now + wait)


@transaction.atomic
def rotate_signing_key(algorithm: str, *, is_emergency: bool = False) -> SigningKey:
    """Publish a new key now. It signs once every cached copy of the JWKS has expired.

    In an emergency it signs at once, and the old keys are deleted, which ends all their tokens: a
    key without a row is accepted by no clock.
    """
    lock_ring()
    now = database_time()
    active_from = now if is_emergency else now + PUBLISHED_BEFORE_USE
    key = new_signing_key(algorithm, created_at=now, active_from=active_from)
    old = SigningKey.objects.filter(algorithm=algorithm).exclude(kid=key.kid)
    if is_emergency:
        old.delete()
    else:
        longest = max(
            settings.ACCESS_TOKEN_LIFETIME,
            settings.REFRESH_TOKEN_LIFETIME,
            timedelta(seconds=MAX_TOKEN_LIFETIME),
        )
        old.filter(retired_at=None).update(
            retired_at=active_from,
            removed_at=active_from + longest + KEPT_AFTER_LAST_TOKEN,
        )
    return key


def accepted_keys() -> QuerySet[SigningKey]:
    """The keys that have not been removed, as tokens_ended_viewers asks about those of streams."""
    return SigningKey.objects.filter(Q(removed_at=None) | Q(removed_at__gt=Now()))


def require_openable_keys() -> None:
    """Raise ImproperlyConfigured if a stored key cannot be decrypted with our encryption keys."""
    for row in accepted_keys():
        _load_private_key(row)


def reencrypt_signing_keys() -> Iterator[tuple[int, int]]:
    """Re-encrypt every key with the current encryption key.

    Yields (number done, total) after each.
    """
    kids = list(SigningKey.objects.order_by("pk").values_list("pk", flat=True))
    for number, kid in enumerate(kids, 1):
        with transaction.atomic():
            row = SigningKey.objects.select_for_update().filter(pk=kid).first()
            if row is not None:
                row.private_key = _fernet().encrypt(_decrypted(row))
                row.save(update_fields=["private_key"])
        yield number, len(kids)


def new_signing_key(algorithm: str, *, created_at: datetime, active_from: datetime) -> SigningKey:
    """Create and store a key. Its id is its RFC 7638 thumbprint."""
    key: ECKey | RSAKey
    if algorithm == Organization.Algorithm.ES256:
        key = ECKey.generate_key("P-256", auto_kid=False)
    else:
        key = RSAKey.generate_key(RSA_BITS, auto_kid=False)
    kid = key.thumbprint()
    return SigningKey.objects.create(
        kid=kid,
        algorithm=algorithm,
        private_key=_fernet().encrypt(key.as_pem(private=True)),
        public_jwk={**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": algorithm},
        created_at=created_at,
        active_from=active_from,
    )


def lock_ring() -> None:
    """Serialize changes to the ring across processes, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('tokens_signingkey'))")


def _load_private_key(row: SigningKey) -> Any:
    return serialization.load_pem_private_key(_decrypted(row), password=None)


def _decrypted(row: SigningKey) -> bytes:
    try:
        return _fernet().decrypt(bytes(row.private_key))
    except InvalidToken as error:
        raise ImproperlyConfigured(
            "The signing keys cannot be opened: AGENTIDP_KEY_ENCRYPTION_KEY is not the one that "
            "the keys were stored with. Name that one in AGENTIDP_KEY_ENCRYPTION_KEY_FALLBACKS."
        ) from error


def _fernet() -> MultiFernet:
    """Encrypts with the current key and also decrypts with older ones."""
    keys = [settings.KEY_ENCRYPTION_KEY, *settings.KEY_ENCRYPTION_KEY_FALLBACKS]
    digests = [hashlib.sha256(key.encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
