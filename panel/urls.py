"""Executions at the addresses of kodosumi's panel: with bearer tokens, API keys, or a page's
session.
"""

from django.urls import path, register_converter
from django.urls.converters import PathConverter

from panel.dashboard import DashboardViewSet
from panel.error_groups import ErrorGroupViewSet
from panel.files import FileViewSet
from panel.login import KeyLogInView
from panel.outputs import OutputsViewSet, OutputViewSet
from panel.streams import StreamViewSet
from panel.timeline import TimelineViewSet


class FilePathConverter(PathConverter):
    """The path of a stored file, which may contain line breaks from other systems."""

    regex = "(?s:.+)"


register_converter(FilePathConverter, "file")

# The URLs of kodosumi's dashboard.
dashboard = [
    path(
        "running-agents",
        DashboardViewSet.as_view({"get": "running_agents"}),
        name="dashboard-running-agents",
    ),
    path("errors", DashboardViewSet.as_view({"get": "errors"}), name="dashboard-errors"),
    path(
        "error-groups",
        DashboardViewSet.as_view({"get": "error_groups"}),
        name="dashboard-error-groups",
    ),
    path(
        "error-groups/<str:fingerprint>/resolution",
        ErrorGroupViewSet.as_view({"put": "resolve", "delete": "reopen"}),
        name="dashboard-resolution",
    ),
    path("timeline", DashboardViewSet.as_view({"get": "timeline"}), name="dashboard-timeline"),
    path(
        "agent-stats",
        DashboardViewSet.as_view({"get": "agent_stats"}),
        name="dashboard-agent-stats",
    ),
    path(
        "execution/<str:fid>/details",
        DashboardViewSet.as_view({"get": "details"}),
        name="dashboard-details",
    ),
    path(
        "execution/<str:fid>/files",
        DashboardViewSet.as_view({"get": "files"}),
        name="dashboard-files",
    ),
]

# Streams: live with ASGI; with WSGI only the events so far (docs/decisions/0007).
streams = [
    path(f"outputs/{name}/<str:fid>", StreamViewSet.as_view({"get": name}), name=f"outputs-{name}")
    for name in ("stream", "main", "stdio")
]

execution_outputs = [
    path("outputs", OutputsViewSet.as_view({"delete": "destroy_many"}), name="outputs"),
    path("outputs/<str:fid>", OutputViewSet.as_view({"delete": "destroy"}), name="output"),
    *(
        path(
            f"outputs/{name}/<str:fid>", OutputViewSet.as_view({"get": name}), name=f"output-{name}"
        )
        for name in ("status", "raw", "html")
    ),
]
execution_timeline = [
    path("timeline", TimelineViewSet.as_view({"get": "move"}), name="timeline"),
    path("timeline/list", TimelineViewSet.as_view({"get": "list_items"}), name="timeline-list"),
    path(
        "timeline/changes",
        TimelineViewSet.as_view({"get": "list_changes"}),
        name="timeline-changes",
    ),
]
execution_files = [
    pattern
    for area in ("in", "out")
    for pattern in (
        path(
            f"files/<str:fid>/{area}",
            FileViewSet.as_view({"get": "list_files"}, area=area),
            name=f"files-{area}",
        ),
        path(
            f"files/<str:fid>/{area}/<file:path>",
            FileViewSet.as_view({"get": "download"}, area=area),
            name=f"file-{area}",
        ),
    )
]

log_in = [path("api/login", KeyLogInView.as_view(), name="key-login")]

urlpatterns = [*log_in, *execution_outputs, *execution_timeline, *execution_files, *streams]
