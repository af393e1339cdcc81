"""Tags offered as filters: those of the newest runs that the actor may see."""

from collections import Counter
from uuid import UUID

from executions.described import MAX_TAGS as TAGS_OF_A_RUN
from executions.filters import MAX_TEXT_LENGTH
from executions.models import Execution
from organizations.actors import Actor
from organizations.models import Organization

MAX_RUNS = 1000
"""The number of newest runs that are read, by index, however many there are. Older tags can
still be typed, and so can those of a run that has more than TAGS_OF_A_RUN.
"""
MAX_TAGS = 100


def known_tags(organization: Organization, actor: Actor) -> list[str]:
    """The MAX_TAGS most frequent tags, in alphabetical order.

    Spellings that differ in case are one tag, shown as the newest run spells it. Only tags that the
    filter accepts are included.
    """
    newest = (
        Execution.objects.for_organization(organization)
        .visible_to(actor)
        .order_by("-start_time", "-pk")
        .values_list("pk", f"searchable_tags__0_{TAGS_OF_A_RUN}")[:MAX_RUNS]
    )
    times: Counter[str] = Counter()
    places: dict[str, tuple[UUID, int]] = {}
    for key, tags in newest:
        times.update(tags)
        for place, tag in enumerate(tags):
            places.setdefault(tag, (key, place))
    chosen = {tag: places[tag] for tag, _ in times.most_common(MAX_TAGS)}
    runs = Execution.objects.for_organization(organization).filter(
        pk__in={key for key, _ in chosen.values()}
    )
    written = {run.pk: run.tags for run in runs.only("meta")}
    found = [
        _spelling(written.get(key, []), place, tag).strip()
        for tag, (key, place) in sorted(chosen.items())
    ]
    return [tag for tag in found if tag and tag.isprintable() and len(tag) <= MAX_TEXT_LENGTH]


def _spelling(tags: list[str], place: int, tag: str) -> str:
    """The tag as its run spells it; in lower case if the run has changed in the meantime."""
    return tags[place] if place < len(tags) else tag
