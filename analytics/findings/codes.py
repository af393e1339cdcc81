"""The codes of findings and how severe they are."""

BAD, WARN = "bad", "warn"
CODES = (
    "token_spike",
    "silent_day",
    "credential_expiring",
    "refusals_rising",
    "dominant_agent",
    "credential_unused",
)
"""The codes, in the order in which findings of equal severity are listed."""
EXPIRED = "credential_expired"
KINDS = (*CODES, EXPIRED)
"""What a snooze is about: the code, or a more exact word where one code tells two worries."""
