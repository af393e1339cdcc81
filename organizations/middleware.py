from collections.abc import Callable
from urllib.parse import urlsplit

from django.contrib.auth import middleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import url_has_allowed_host_and_scheme


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Requires a sign-in for every page; API views authenticate bearer tokens themselves.

    Public documents are the same for everybody, so their session is not read: that would add `Vary:
    Cookie`.
    """

    def process_view(self, request, view_func, view_args, view_kwargs):  # type: ignore[no-untyped-def]
        if hasattr(view_func, "cls") or not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseRedirect:
        """Redirect to a form's page after the sign-in, since the form's URL accepts only POST."""
        if request.method in {"GET", "HEAD"}:
            return super().handle_no_permission(request, view_func)
        page = request.headers.get("Referer", "")
        is_ours = url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()})
        address = urlsplit(page) if is_ours else urlsplit("/")
        return redirect_to_login(address._replace(scheme="", netloc="").geturl() or "/")
