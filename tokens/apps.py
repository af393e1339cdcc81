from django.apps import AppConfig


class TokensConfig(AppConfig):
    name = "tokens"

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_out

        from tokens import checks  # noqa: F401 - registers itself
        from tokens.sessions import end_with_browser_session

        user_logged_out.connect(end_with_browser_session)
