"""All routes: those of the apps, the operators' probes, and the admin."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

import agents.urls
import analytics.urls
import executions.urls
import organizations.urls
import pages.urls
import panel.urls
import tokens.urls
from agentidp import health
from agentidp.description import DescriptionView

# The REST API: bearer tokens of people and agents.
api = [
    *tokens.urls.api,
    *organizations.urls.api,
    *agents.urls.api,
    *executions.urls.api,
    *analytics.urls.api,
]

urlpatterns: list[URLPattern | URLResolver] = [
    *tokens.urls.well_known,
    # Operators' probes.
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    *pages.urls.urlpatterns,
    # For platform staff, one organization at a time. kodosumi's own address comes first.
    path("admin/dashboard", RedirectView.as_view(pattern_name="executions:list")),
    path("admin/dashboard/", RedirectView.as_view(pattern_name="executions:list")),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    *panel.urls.urlpatterns,
    path("api/v1/", include(api)),
    path("api/dashboard/", include(panel.urls.dashboard)),
    path("api/schema", DescriptionView.as_view(), name="schema"),
]

handler400 = "core.handlers.bad_request"
handler403 = "core.handlers.permission_denied"
handler404 = "core.handlers.not_found"
handler500 = "core.handlers.server_error"
