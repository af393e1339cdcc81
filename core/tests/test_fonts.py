"""The font that pages load: small, and with what they use."""

from collections.abc import Iterator

import pytest
from fontTools.ttLib import TTFont

from core import fonts

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
