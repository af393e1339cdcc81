"""Changes of agents and their credentials are told in sentences."""

from typing import Any

import pytest
from django.utils import timezone

from organizations.models import AuditEvent
from pages.audit.sentences import sentences_of


@pytest.mark.parametrize(
    ("action", "metadata", "what"),
    [
        (
            "credential.old_secrets_ended",
            {"secretHints": ["1a2b"], "oldSecrets": 1},
            "ended the old secret …1a2b of the credential prod …c3d4.",
        ),
        (
            "credential.old_secrets_ended",
            {"secretHints": [], "oldSecrets": 1},
            "ended the old secret of the credential prod …c3d4.",
        ),
        (
            "credential.old_secrets_ended",
            {"secretHints": ["1a2b", ""], "oldSecrets": 2},
            "ended the old secrets …1a2b of the credential prod …c3d4.",
        ),
        (
            "credential.renamed",
            {"nameBefore": "prod", "name": ""},
            "removed the name prod from a credential.",
        ),
        (
            "credential.rotated",
            {"graceSeconds": 7 * 86_400},
            "gave the credential prod …c3d4 a new secret, with the old one valid for another "
            "7 days.",
        ),
        (
            "credential.rotated",
            {"graceSeconds": 86_400, "oldSecretsWorkUntil": "2025-03-04T05:06:07Z"},
            "gave the credential prod …c3d4 a new secret, with the old one valid until 4 Mar 2025.",
        ),
        (
            "credential.rotated",
            {"graceSeconds": 0},
            "gave the credential prod …c3d4 a new secret. The old one stopped at once.",
        ),
        ("resource.agent_removed", {}, "revoked access to credential prod …c3d4."),
    ],
)
def test_a_change_of_a_credential_is_a_sentence(
    action: str, metadata: dict[str, Any], what: str
) -> None:
    event = AuditEvent(action=action, metadata=metadata, actor_kind="system")
    event.target_label, event.target_type = "credential prod …c3d4", "credential"

    (sentence,) = sentences_of([event], timezone.now())

    assert sentence.what == what
