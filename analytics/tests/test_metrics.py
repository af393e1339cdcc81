from agentidp.env import BASE_DIR
from analytics.metrics import reference_page


def test_the_reference_page_tells_the_metrics_of_the_code() -> None:
    page = BASE_DIR / "docs" / "reference" / "metrics.md"

    assert page.read_text() == reference_page(), "Run: python manage.py metrics_reference"
