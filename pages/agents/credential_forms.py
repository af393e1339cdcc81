"""Forms for credentials."""

from datetime import datetime, timedelta

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone

from core.days import day_end
from core.text import NameInput
from tokens.models import (
    MAX_CREDENTIAL_NAME,
    Credential,
)


class NameForm(forms.Form):
    """The display name of a credential."""

    name = NameInput(
        required=False,
        max_length=MAX_CREDENTIAL_NAME,
        help_text="Where the secret is used, for example “prod, k8s”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class EndForm(forms.Form):
    """The expiry of a secret; without a date it works until it is revoked."""

    expires_on = forms.DateField(
        label="Valid until the end of",
        required=False,
        help_text="Leave it empty for a secret that does not expire.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean_expires_on(self) -> datetime | None:
        """The end of the chosen day in the page's zone."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        if day < timezone.localdate():
            raise ValidationError("Choose today or a later day.")
        if day > timezone.localdate() + timedelta(days=3660):
            raise ValidationError("Choose a day within ten years.")
        return day_end(day, timezone.get_current_timezone())


class CredentialForm(NameForm, EndForm):
    """A new credential."""

    field_order = ["name", "expires_on"]


class RotationForm(EndForm):
    """The expiry of the new secret, and for how long the old one keeps working."""

    grace_seconds = forms.TypedChoiceField(
        label="The old secret",
        coerce=int,
        initial=86400,
        choices=[
            (0, "stops at once"),
            (3600, "works for one more hour"),
            (86400, "works for one more day"),
            (7 * 86400, "works for one more week"),
        ],
    )

    def __init__(self, data: QueryDict | None, credential: Credential) -> None:
        super().__init__(data)
        end = credential.renewed_end(timezone.now())
        if end is not None:
            # The last day that ends no earlier than the secret would.
            self.fields["expires_on"].initial = timezone.localdate(end)
            self.fields["expires_on"].help_text = (
                "The suggested day gives the new secret the same lifetime as the current one had. "
                f"{self.fields['expires_on'].help_text}"
            )
