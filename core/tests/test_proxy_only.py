import pytest

from core.proxy_only import behind_the_proxy


@pytest.mark.parametrize(("is_production", "status"), [(False, "200 OK"), (True, "403 Forbidden")])
def test_a_caller_with_an_address_is_answered_outside_production_only(
    settings: object, is_production: bool, status: str
) -> None:
    settings.IS_PRODUCTION = is_production  # type: ignore[attr-defined]
    said: list[str] = []

    def application(environ: dict, start_response: object) -> list[bytes]:
        start_response("200 OK", [])  # type: ignore[operator]
        return [b""]

    answer = behind_the_proxy(application)  # type: ignore[arg-type]
    answer({"REMOTE_ADDR": "127.0.0.1"}, lambda status, headers: said.append(status))  # type: ignore[arg-type]

    assert said == [status]
