from django import forms
from django.core.exceptions import ValidationError

from core.text import NameInput
from core.time_zones import known_time_zones
from organizations.models import Organization


class OrganizationForm(forms.ModelForm):
    """The settings that administrators may change; plan and limits are set by the deployment."""

    name = NameInput(min_length=2, max_length=100)
    time_zone = forms.CharField(
        max_length=64,
        help_text=(
            "For days, hours and times on the pages of people who choose it in the account menu; "
            "others see their browser's zone. The API uses UTC unless told otherwise."
        ),
        widget=forms.TextInput(
            attrs={"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}
        ),
    )

    class Meta:
        model = Organization
        fields = ["name", "slug", "time_zone", "signing_algorithm", "execution_retention_days"]
        labels = {"execution_retention_days": "Keep executions"}
        help_texts = {
            "slug": "Lower-case letters, digits and hyphens.",
            "execution_retention_days": "Days to keep them after they end; older ones are deleted "
            "every night, with their files. Leave it empty to keep them forever.",
            "signing_algorithm": "For tokens issued from now on. One not used here before "
            "takes effect a few minutes later, once services can have its key. Older tokens stay "
            "valid.",
        }

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name not in known_time_zones():
            raise ValidationError("Unknown time zone. Use a name such as Europe/Berlin.")
        return name
