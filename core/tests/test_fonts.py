"""The font that pages load: small, with what they use, and with its license."""

from collections.abc import Iterator

import pytest
from django.templatetags.static import static
from fontTools.ttLib import TTFont

from core import fonts
from core.tests.test_static_files import YEAR, collected, folder, get

__all__ = ["collected", "folder"]  # fixtures
PEOPLE = "Zoë Łukasz Šárka Ørjan Åsa José Ağaoğlu Ķēniņš Œuvrard Weiß €"
SIGNS = "→↑…–—“”’×·⌘▲▼"  # noqa: RUF001


@pytest.fixture(scope="module")
def font() -> Iterator[TTFont]:
    with TTFont(fonts.made_fonts() / fonts.FONT) as made:
        yield made


def test_the_font_is_small_and_has_the_letters_and_signs_of_pages(font: TTFont) -> None:
    drawn = font.getBestCmap()

    assert (fonts.made_fonts() / fonts.FONT).stat().st_size < 30_000
    assert not {each for each in PEOPLE + SIGNS if ord(each) not in drawn}


def test_the_font_has_every_weight_that_styles_name(font: TTFont) -> None:
    [weight] = font["fvar"].axes

    assert (weight.axisTag, weight.minValue, weight.maxValue) == ("wght", 400, 650)


def test_figures_can_have_one_width_and_words_keep_theirs(font: TTFont) -> None:
    substitutions = font["GSUB"].table
    [tabular] = [one.Feature for one in substitutions.FeatureList.FeatureRecord]
    [index] = tabular.LookupListIndex
    [part] = substitutions.LookupList.Lookup[index].SubTable

    assert set(part.mapping) == set(fonts.DIGITS)
    assert len({font["hmtx"][name][0] for name in part.mapping.values()}) == 1
    assert "kern" in {one.FeatureTag for one in font["GPOS"].table.FeatureList.FeatureRecord}


def test_the_font_and_its_license_are_served_from_source() -> None:
    for name, kind in ((fonts.FONT, "font/woff2"), (fonts.LICENSE, "text/plain")):
        status, headers, body = get(f"/static/fonts/{name}")

        assert status == "200 OK"
        assert headers["Content-Type"].startswith(kind)
        assert headers["Access-Control-Allow-Origin"] == "*"  # frames of output have no origin
    assert b"SIL OPEN FONT LICENSE Version 1.1" in body


def test_the_collected_font_is_kept_for_a_year_and_named_by_the_styles(collected: None) -> None:
    url = static(f"fonts/{fonts.FONT}")

    status, headers, _ = get(url)

    assert (status, headers["Cache-Control"]) == ("200 OK", YEAR)
    _, _, styles = get(static("css/site.css"))
    assert f'url("../fonts/{url.rpartition("/")[2]}")'.encode() in styles
    assert "Access-Control-Allow-Origin" not in get(static("css/site.css"))[1]
