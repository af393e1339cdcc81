"""Definitions in words of the numbers on the pages of executions; queries/ computes them so.

analytics.metrics writes them into docs/reference/metrics.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A number and its definition."""

    name: str
    unit: str
    description: str
    api: str = ""
    """The field in the API's responses."""


MEASURES = (
    Measure(
        "Executions",
        "executions",
        "All that match the filters and are in the window. The last hours include whatever started "
        "or ended in them or is still live; a window with two ends, whatever started in it.",
        "`total_executions`",
    ),
    Measure(
        "Running now",
        "executions",
        "Those with the status `running` at this moment, whenever they "
        "started. The window does not matter.",
        "`running` without `hours`, `from` and `to`",
    ),
    Measure(
        "Awaiting, starting, queued",
        "executions",
        "Those with that status at this moment, whenever they started.",
        "`by_status` without a window",
    ),
    Measure(
        "Failed",
        "executions",
        "Those that ended with the status `error`, whether or not they reported an error before.",
        "`by_status.error`",
    ),
    Measure(
        "Error rate",
        "%",
        "Failed executions as a share of all executions, live ones included. Empty without any.",
        "`error_rate`, from 0 to 1; 0 without any",
    ),
    Measure(
        "Errors",
        "errors",
        "What executions reported as errors: one may report several and finish all the same, or "
        "fail without reporting one. They are in the window in which they were reported.",
        "`total` of `errors`",
    ),
    Measure(
        "Runtime",
        "seconds",
        "From the first event to the last, without the time spent waiting for answers; while an "
        "execution runs, until now.",
        "`runtime_seconds` in the CSV file of the page",
    ),
    Measure(
        "Waiting",
        "seconds",
        "How long it waited for answers between its first and its last event.",
        "`waiting_seconds` in the CSV file of the page",
    ),
    Measure(
        "Median runtime, 95th percentile, 99th percentile",
        "seconds",
        "Of the runtimes up to the last event, over executions with more than one event; "
        "interpolated between two runtimes.",
        "`p50_runtime`, `p95_runtime`, `p99_runtime`",
    ),
    Measure(
        "Elapsed time",
        "seconds",
        "From the first event to the last, waiting included: what kodosumi's answers call the "
        "runtime. No page shows it.",
        "`runtime` of an execution; `avg_runtime` is its mean",
    ),
)
