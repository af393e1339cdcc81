"""The form that snoozes a finding."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from analytics.actions import MAX_DAYS, SnoozeTooLong, snooze_days
from analytics.models.snooze import MAX_REASON
from core.text import NameInput


class SnoozeForm(forms.Form):
    """Why the finding is expected, and when it comes back."""

    reason = NameInput(
        max_length=MAX_REASON,
        help_text="Why it is expected. Everybody in the organization can read it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    back_on = forms.DateField(
        label="Comes back on",
        help_text=f"At most {MAX_DAYS} days from now. It comes back earlier if it becomes worse.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, data: QueryDict | None, *, zone: ZoneInfo, **initial: Any) -> None:
        self.first, proposed, self.last = snooze_days(zone)
        values = {"back_on": proposed} | {name: value for name, value in initial.items() if value}
        super().__init__(data, initial=values)
        bounds = {"min": self.first.isoformat(), "max": self.last.isoformat()}
        self.fields["back_on"].widget.attrs |= bounds

    def clean_back_on(self) -> date:
        back_on: date = self.cleaned_data["back_on"]
        if not self.first <= back_on <= self.last:
            raise ValidationError(SnoozeTooLong.message)
        return back_on

    def clean_reason(self) -> str:
        return " ".join(str(self.cleaned_data["reason"]).split())

    @property
    def values(self) -> tuple[str, date]:
        return self.cleaned_data["reason"], self.cleaned_data["back_on"]
