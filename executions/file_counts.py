"""The number of an execution's files, stored with it so that lists can show and sort by it."""

from django.db.models import Count, Q

from executions.models import Execution, ExecutionFile

AT_THE_TOP = ~Q(path__contains="/")
IN, OUT = (Q(area=area) for area in ExecutionFile.Area)


def recount_files(execution: Execution) -> None:
    """Recount the files and save the numbers; the caller holds the row's lock.

    Pages and sorting count all files; `upload_count` and `download_count` exclude sub-folders, as
    kodosumi counts them, for the API in its words.
    """
    counts = ExecutionFile.objects.filter(
        organization_id=execution.organization_id, execution_id=execution.pk
    ).aggregate(
        input_file_count=Count("pk", filter=IN),
        output_file_count=Count("pk", filter=OUT),
        upload_count=Count("pk", filter=IN & AT_THE_TOP),
        download_count=Count("pk", filter=OUT & AT_THE_TOP),
    )
    for name, number in counts.items():
        setattr(execution, name, number)
    execution.save(update_fields=list(counts))
