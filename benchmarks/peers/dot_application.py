"""django-oauth-toolkit's token endpoint."""

from django.core.wsgi import get_wsgi_application
from django.urls import path


def load_views() -> list[object]:
    from oauth2_provider.views import TokenView

    return [path("token", TokenView.as_view())]


application = get_wsgi_application()
urlpatterns = load_views()
