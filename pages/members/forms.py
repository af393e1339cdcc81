from typing import Any

from django import forms

from core.text import AddressInput
from organizations.models import Membership
from organizations.people.mail_addresses import validate_mail_address


class InvitationForm(forms.Form):
    email = AddressInput(
        label="Email address",
        max_length=254,
        validators=[validate_mail_address],
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.VIEWER)

    def __init__(self, *args: Any, roles: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles  # type: ignore[attr-defined]
