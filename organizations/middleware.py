from django.contrib.auth import middleware


class LoginRequiredMiddleware(middleware.LoginRequiredMiddleware):
    """Every page needs a sign-in; API views authenticate their bearer tokens themselves."""

    def process_view(self, request, view_func, view_args, view_kwargs):  # type: ignore[no-untyped-def]
        if hasattr(view_func, "cls"):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
