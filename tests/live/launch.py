"""Launch sample executions: `python -m tests.live.launch NUMBER SECONDS`. Prints their ids."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")
django.setup()

from demo.jobs import SAMPLE  # noqa: E402
from executions.runner import launch  # noqa: E402
from organizations.actors import Actor  # noqa: E402
from organizations.models import Organization  # noqa: E402
from organizations.tenancy.scope import organization_scope  # noqa: E402

number, seconds = map(int, sys.argv[1:])
organization = Organization.objects.filter(status="active").order_by("id")[0]
inputs = {"kind": "screener", "subject": "Nurse", "pieces": seconds * 2, "seconds": seconds}
with organization_scope(organization):
    for _ in range(number):
        execution = launch(SAMPLE, actor=Actor.for_system(organization, "test"), inputs=inputs)
        sys.stdout.write(f"{execution.pk}\n")
