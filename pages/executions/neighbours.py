"""The previous and the next run of the same agent."""

from django.db.models import Q

from executions.models import Execution, ExecutionQuerySet
from organizations.actors import Actor


def neighbours_of(execution: Execution, actor: Actor) -> dict[str, Execution | None]:
    """Those that started before and after it and that the actor may see."""
    start, key = execution.start_time, execution.pk
    # A bound on the indexed column alone, and the ties besides: an OR would read all of its runs.
    later = _runs_of_agent(execution, actor).filter(start_time__gte=start)
    later = later.exclude(Q(start_time=start, id__lte=key))
    return {
        "previous_run": earlier_runs(execution, actor).first(),
        "next_run": later.order_by("start_time", "id").first(),
    }


def earlier_runs(execution: Execution, actor: Actor) -> ExecutionQuerySet:
    """Those that started before it and that the actor may see, the latest first."""
    start, key = execution.start_time, execution.pk
    earlier = _runs_of_agent(execution, actor).filter(start_time__lte=start)
    return earlier.exclude(Q(start_time=start, id__gte=key)).order_by("-start_time", "-id")


def _runs_of_agent(execution: Execution, actor: Actor) -> ExecutionQuerySet:
    runs = Execution.objects.for_organization(execution.organization).visible_to(actor)
    runs = runs.without_content()
    if execution.agent_id:
        return runs.filter(agent_id=execution.agent_id)
    return runs.filter(agent_id=None, agent_name=execution.agent_name)
