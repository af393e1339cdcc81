"""How many files an execution has, beside it: a list shows and sorts by the numbers."""

from django.db.models import Count, Q

from executions.models import Execution, ExecutionFile

AT_THE_TOP = ~Q(path__contains="/")
IN, OUT = (Q(area=area) for area in ExecutionFile.Area)


def recount_files(execution: Execution) -> None:
    """Count the files anew and save the numbers; the row is locked.

    Pages, their files and sorting show all; `upload_count` and `download_count` are kodosumi's
    numbers, without sub-folders, for the API in its words.
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
