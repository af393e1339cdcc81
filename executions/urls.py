"""URLs of the REST API for reporting executions."""

from django.urls import path

from executions.api.reports import ExecutionViewSet
from executions.api.storage import StorageViewSet

api = [
    path(
        "organizations/<str:organizationId>/storage",
        StorageViewSet.as_view({"get": "retrieve"}),
        name="organization-storage",
    ),
    path(
        "executions",
        ExecutionViewSet.as_view({"get": "list", "post": "create"}),
        name="execution-list",
    ),
    path(
        "executions/<str:executionId>",
        ExecutionViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="execution-detail",
    ),
    path(
        "executions/<str:executionId>/events",
        ExecutionViewSet.as_view({"post": "append"}),
        name="execution-events",
    ),
    path(
        "executions/<str:executionId>/finish",
        ExecutionViewSet.as_view({"post": "finish"}),
        name="execution-finish",
    ),
    path(
        "executions/<str:executionId>/stop",
        ExecutionViewSet.as_view({"post": "stop"}),
        name="execution-stop",
    ),
    path(
        "executions/<str:executionId>/heartbeat",
        ExecutionViewSet.as_view({"post": "heartbeat"}),
        name="execution-heartbeat",
    ),
    path(
        "executions/<str:executionId>/files",
        ExecutionViewSet.as_view({"post": "start_upload"}),
        name="execution-files",
    ),
    path(
        "executions/<str:executionId>/uploads/<uuid:uploadId>",
        ExecutionViewSet.as_view(
            {"get": "upload", "put": "receive_part", "delete": "cancel_upload"}
        ),
        name="execution-upload",
    ),
]
