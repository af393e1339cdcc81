"""The previous and the next run of the same agent."""

from django.db.models import Q

from executions.models import Execution
from organizations.actors import Actor


def neighbours_of(execution: Execution, actor: Actor) -> dict[str, Execution | None]:
    """Those that started before and after it and that the actor may see."""
    runs = Execution.objects.for_organization(execution.organization).visible_to(actor)
    runs = runs.without_content()
    if execution.agent_id:
        runs = runs.filter(agent_id=execution.agent_id)
    else:
        runs = runs.filter(agent_id=None, agent_name=execution.agent_name)
    start, key = execution.start_time, execution.pk
    # A bound on the indexed column alone, and the ties besides: an OR would read all of its runs.
    earlier = runs.filter(start_time__lte=start).exclude(Q(start_time=start, id__gte=key))
    later = runs.filter(start_time__gte=start).exclude(Q(start_time=start, id__lte=key))
    return {
        "previous_run": earlier.order_by("-start_time", "-id").first(),
        "next_run": later.order_by("start_time", "id").first(),
    }
