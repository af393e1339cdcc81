"""The whole URL surface on one page."""

from django.urls import URLPattern, URLResolver

urlpatterns: list[URLPattern | URLResolver] = []

handler400 = "agentidp.handlers.bad_request"
handler403 = "agentidp.handlers.permission_denied"
handler404 = "agentidp.handlers.not_found"
handler500 = "agentidp.handlers.server_error"
