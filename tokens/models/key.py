"""Signing keys, and records of the server's secrets."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from organizations.models import Organization


class SigningKey(models.Model):
    """A signing key of the deployment, kept until its last token has expired."""

    kid = models.CharField(max_length=64, primary_key=True, help_text="RFC 7638 thumbprint.")
    algorithm = models.CharField(max_length=8, choices=Organization.Algorithm)
    private_key = models.BinaryField(help_text="PEM, encrypted with AGENTIDP_KEY_ENCRYPTION_KEY.")
    public_jwk = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now)
    active_from = models.DateTimeField(help_text="When the key starts to sign.")
    retired_at = models.DateTimeField(null=True, help_text="When the key stops signing.")
    removed_at = models.DateTimeField(
        null=True, help_text="When the key is no longer published or accepted."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(algorithm__in=["ES256", "RS256"]),
                name="tokens_signingkey_algorithm_valid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"


class KnownSecret(models.Model):
    """A secret of the operator that has been used with this database: see known_secrets.py."""

    name = models.CharField(max_length=64, help_text="The setting that holds the secret.")
    mac = models.BinaryField(max_length=32)
    since = models.DateTimeField(default=timezone.now)
    everywhere_since = models.DateTimeField(
        null=True, help_text="When the operator confirmed that all processes use it."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "mac"], name="tokens_knownsecret_unique")
        ]

    def __str__(self) -> str:
        return self.name
