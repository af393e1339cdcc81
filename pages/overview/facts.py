"""The line of facts under the figures: how things are now, in words."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.urls import reverse

from analytics.queries import AtWork
from core.formatting import counted, time_phrase
from executions.models import Execution
from executions.queries import RecentActivity
from organizations.models import Organization
from pages.executions.page_query import ALL_TIME, DEFAULT_HOURS, to_datetime
from pages.overview.figures import View
from pages.overview.runs import waiting_url
from tokens.models import Credential

SOON = timedelta(days=7)


@dataclass(frozen=True)
class Fact:
    text: str
    url: str = ""


Facts = list[list[Fact]]
"""Facts in groups that belong together."""


def run_facts(view: View, recent: RecentActivity) -> Facts:
    """What runs and waits now, and what failed of late."""
    running = view.rows_url("executions:list", hours=ALL_TIME, status=Execution.Status.RUNNING)
    now = [Fact(f"{recent.running:,} running", running if recent.running else "")]
    if recent.awaiting:
        verb = "waits" if recent.awaiting == 1 else "wait"
        now.append(Fact(f"{recent.awaiting:,} {verb} for an answer", waiting_url(view)))
    return [now, [of_late(view, recent)]]


def of_late(view: View, recent: RecentActivity) -> Fact:
    hours = f"in the last {DEFAULT_HOURS} hours"
    if not recent.total:
        newest = time_phrase(to_datetime(recent.newest or 0), view.period.now)
        return Fact(f"nothing ran {hours}, the newest run started {newest}")
    text = f"{recent.failed or 'none'} of {counted(recent.total, 'runs')} failed {hours}"
    url = view.rows_url("executions:list", hours=DEFAULT_HOURS, status=Execution.FAILED)
    return Fact(text, url if recent.failed else "")


def agent_facts(organization: Organization, work: AtWork, now: datetime) -> Facts:
    """The agents that got a token, and the credentials that can get one."""
    agents = f"{work.working:,} of {counted(work.registered, 'agents')} obtained a token this month"
    usable = Credential.objects.for_organization(organization).usable().of_acting_agents()
    ends = Q(expires_at__lte=now + SOON)
    counts = usable.aggregate(live=Count("pk"), ending=Count("pk", filter=ends))
    verb = "expires" if counts["ending"] == 1 else "expire"
    number = f"{counts['ending']:,}" if counts["ending"] else "none"
    return [
        [Fact(agents, f"{reverse('agents:list')}?sort=-tokens")],
        [
            Fact(counted(counts["live"], "live credentials")),
            Fact(f"{number} {verb} within {SOON.days} days"),
        ],
    ]
