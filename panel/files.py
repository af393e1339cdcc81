"""/files: the files that executions were given and made."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.examples import example, example_response
from executions.models import ExecutionFile
from organizations.actors import Scope
from panel import examples
from panel.base import PanelViewSet
from panel.downloads import FileNotFound, download

MAX_FILES = 10_000
PATH = OpenApiParameter(
    "path",
    {"type": "string", "minLength": 1},
    OpenApiParameter.PATH,
    description="The path without the area, with `/` between folders.",
)
RANGES = [
    OpenApiParameter("Range", OpenApiTypes.STR, "header", description="A single range of bytes."),
    OpenApiParameter(
        "If-Range",
        OpenApiTypes.STR,
        "header",
        description=(
            "Send the range only if the file still has this entity tag, otherwise the whole file."
        ),
    ),
]


@example(examples.STORED_FILE)
class StoredFileSerializer(serializers.Serializer[Any]):
    """A file of an execution."""

    path = serializers.CharField(
        help_text="The path with the area, for example `in/letters/one.txt`."
    )
    size = serializers.IntegerField(min_value=0, help_text="Size in bytes.")
    last_modified = serializers.FloatField(help_text="Unix seconds.")


@extend_schema(tags=["Files"])
class FileViewSet(PanelViewSet):
    """The `area`, `in` or `out`, is fixed by the URL."""

    queryset = PanelViewSet.queryset.without_content()
    area = ""
    pagination_class = None
    required_scopes = {
        "list_files": (Scope.EXECUTIONS_READ,),
        "download": (Scope.EXECUTIONS_READ,),
    }

    def files(self) -> Any:
        """The execution's files in this area."""
        files = ExecutionFile.objects.for_organization(self.organization)
        return files.filter(execution=self.get_object(), area=self.area)

    @extend_schema(responses=StoredFileSerializer(many=True))
    def list_files(self, request: Request, fid: str) -> Response:
        """List the files of an execution with sub-folders, ordered by path."""
        return Response(
            [
                {
                    "path": f"{self.area}/{file.path}",
                    "size": file.size,
                    "last_modified": file.last_modified,
                }
                for file in self.files().order_by("path")[:MAX_FILES]
            ]
        )

    @extend_schema(
        parameters=[PATH, *RANGES],
        responses={
            (200, "application/octet-stream"): example_response(
                OpenApiTypes.BINARY, examples.CONTENT
            ),
            (206, "application/octet-stream"): example_response(
                OpenApiTypes.BINARY, examples.CONTENT
            ),
            304: None,
        },
    )
    def download(self, request: Request, fid: str, path: str) -> HttpResponseBase:
        """Download the file. Browsers save it and never show it, so that nothing in it can run
        here.
        """
        file = self.files().filter(path=path).first()
        if file is None:
            raise FileNotFound
        return download(request._request, file, caller=self.actor.id)
