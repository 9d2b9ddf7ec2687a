"""The colours of the explorers."""

import pytest

from vaebook.explorer.look import CONTRASTS, PAPERS, colour_table, contrast, legible
from vaebook.plots import COLOURS


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.01)  # as WebAIM gives it


def test_every_colour_is_legible_on_both_papers_and_keeps_its_name() -> None:
    table = colour_table()
    for use, least in CONTRASTS.items():
        for scheme, (paper, _) in PAPERS.items():
            found = table[use][scheme]
            assert found.keys() == COLOURS.keys()
            assert all(contrast(colour, paper) >= least for colour in found.values())
            assert found["posterior"] != found["prior"], "q and p never share a colour"
    assert table["marks"]["light"]["vae"] == COLOURS["vae"].lower(), (
        "no change where none is needed"
    )


def test_no_ink_can_help_on_paper_like_it() -> None:
    with pytest.raises(ValueError, match="Choose a darker ink"):
        legible("#777777", "#808080", "#777777", 4.5)
