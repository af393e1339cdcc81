"""What people choose for a credential."""

from datetime import datetime, time, timedelta

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone


class CredentialForm(forms.Form):
    """A new credential; without a date it works until it is revoked."""

    expires_on = forms.DateField(
        label="Works until the end of",
        required=False,
        help_text="Leave it empty for a credential that does not expire.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean_expires_on(self) -> datetime | None:
        """The end of that day in the page's zone."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        if day < timezone.localdate():
            raise ValidationError("Choose today or a later day.")
        if day > timezone.localdate() + timedelta(days=3660):
            raise ValidationError("Choose a day within ten years.")
        return timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min))


class RotationForm(forms.Form):
    """How long the old secret goes on working beside the new one."""

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
