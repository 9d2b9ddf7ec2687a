"""Numbers and tables as the book prints them."""

import math

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from vaebook.experiments import intervals, summarise
from vaebook.plots import interval_text, number_text, summary_text, table, unbroken

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, None, "0"),
        (-0.0004, 2, "0.00"),  # no minus before nothing
        (-0.0004, None, "−0.000400"),
        (12.345, None, "12.3"),
        (99.96, None, "100"),  # not 100.0: three digits after rounding
        (999.6, None, "1,000"),
        (1234567.0, None, "1,234,567"),
        (3e-13, None, "3.0 × 10⁻¹³"),
        (-2.5e9, None, "−2.5 × 10⁹"),
        (0.5, 3, "0.500"),
        (0.8949999999999999, 2, "0.90"),  # 0.895 but for the last digit of a double
        (NAN, 1, "–"),
        (INF, None, "∞"),
        (-INF, None, "−∞"),
    ],
)
def test_a_number_reads_as_in_print(value: float, digits: int | None, text: str) -> None:
    assert number_text(value, digits) == text


@pytest.mark.parametrize(
    ("ends", "digits", "factor", "text"),
    [
        ((17.6, 15.9, 19.3), 1, 1, "17.6 ± 1.7"),
        ((0.642, 0.584, 0.700), 0, 100, "64 ± 6"),  # a share in per cent
        ((0.83, 0.74, 0.93), 2, 1, "0.83 (0.74 to 0.93)"),  # uneven: both ends are told
        ((-1.0, -3.2, 1.2), 1, 1, "−1.0 ± 2.2"),
        ((3.332, 0.32, 6.344), None, 1, "3.3 ± 3.0"),  # two digits of the interval by default
        ((5.0, NAN, NAN), 1, 1, "5.0"),  # one seed has no interval
        ((NAN, NAN, NAN), 1, 1, "–"),
    ],
)
def test_an_interval_reads_as_in_print(
    ends: tuple[float, float, float], digits: int | None, factor: float, text: str
) -> None:
    assert interval_text(*ends, digits, factor=factor) == text


def test_a_row_of_a_summary_is_the_mean_with_its_interval() -> None:
    frame = pd.DataFrame({"seed": [0, 1, 2], "share": [0.5, 0.6, 0.7]})
    row = summarise(frame, [], ["share"]).iloc[0]
    half = 4.302653 * 0.1 / math.sqrt(3)  # Student's t with two degrees of freedom
    assert summary_text(row, 1, factor=100) == f"60.0 ± {100 * half:.1f}"


def example() -> pd.DataFrame:
    index = pd.Index(["VAE", "GAN"], name="model")
    return pd.DataFrame(
        {
            "dogs": [(84.0, 80.0, 88.0), (64.0, 61.0, 67.0)],
            "seconds": [88.0, NAN],
            "loss": ["−ELBO", None],
            "unused": [1, 2],
        },
        index,
    )


def test_a_table_reads_well_as_text() -> None:
    shown = table(
        example(),
        label="Two models",
        headings={"dogs": "dogs (%)", "seconds": "time (s)", "loss": "loss"},
        digits={"dogs": 0},
    )
    assert repr(shown).splitlines() == [
        "model  dogs (%)  time (s)   loss",
        "VAE      84 ± 4        88  −ELBO",
        "GAN      64 ± 3         –      –",
    ]


def test_a_table_on_a_page_has_headings_and_a_name_and_never_parts_a_number() -> None:
    shown = table(example(), label="Two <models>", headings={"dogs": "dogs (%)"}, digits=0)
    page = BeautifulSoup(shown._repr_html_(), "html.parser")
    region = page.find(role="region")
    assert (region["aria-label"], region["tabindex"]) == ("Two <models>", "0")
    assert [cell.text for cell in page.select("thead th[scope=col]")] == ["model", "dogs (%)"]
    assert [cell.text for cell in page.select("tbody th[scope=row]")] == ["VAE", "GAN"]
    assert page.select("td")[0].text == "84\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}4"
    assert "unused" not in page.text


def test_text_is_escaped_and_numbers_are_not_parted() -> None:
    assert unbroken("a < b, 64 ± 6 %") == "a &lt; b, 64&nbsp;±&nbsp;6&nbsp;%"


def test_two_indices_name_a_row_and_booleans_are_words() -> None:
    index = pd.MultiIndex.from_tuples([("dogs", 2), ("dogs", 4)], names=["data", "size"])
    frame = pd.DataFrame({"found": np.array([True, False])}, index)
    assert repr(table(frame, label="x")).split() == [
        "data",
        "size",
        "found",
        "dogs",
        "2",
        "yes",
        "dogs",
        "4",
        "no",
    ]


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="no column 'dog'; expected one of"):
        table(example(), label="x", headings={"dog": "dogs"})
    with pytest.raises(ValueError, match="two rows are called 'VAE'"):
        table(pd.concat([example(), example()]), label="x")


CELLS = pd.DataFrame(
    {"dogs": [(0.5, 0.4, 0.6), (0.9, 0.8, 1.0)], "rate": [(18.2, 18.1, 18.3), (12.0, 11, 13)]},
    index=pd.Index(["vae", "gan"], name="model"),
)


def test_rows_are_chosen_and_named_and_columns_shown_in_their_way() -> None:
    shown = table(
        CELLS,
        label="Dogs",
        headings={"rate": "rate (nats)", "dogs": "dogs (%)"},
        rows={"gan": "GAN", "vae": "VAE"},
        percent=["dogs"],
        means=["rate"],
        digits={"rate": 1, "dogs": 0},
    )
    assert repr(shown).splitlines() == [
        "model  rate (nats)  dogs (%)",
        "GAN           12.0   90 ± 10",
        "VAE           18.2   50 ± 10",
    ]


def test_a_share_without_interval_is_a_percentage_too() -> None:
    shown = table(pd.DataFrame({"dogs": [0.123]}, ["VAE"]), label="Dogs", percent=["dogs"])
    assert "12.3" in repr(shown)


def test_the_corner_is_what_it_is_called() -> None:
    assert repr(table(CELLS, label="Dogs", corner="trained by")).startswith("trained by")


def test_a_row_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="no row 'flow'; expected one of"):
        table(CELLS, label="Dogs", rows={"flow": "flow"})


def test_intervals_are_the_cells_of_a_table_in_the_order_of_the_record() -> None:
    frame = pd.DataFrame(
        {
            "seed": [0, 1, 0, 1],
            "model": ["z", "z", "a", "a"],
            "size": [8, 8, 2, 2],
            "dogs": [0.4, 0.6, 0.8, 0.8],
            "rate": [1.0, 3.0, 5.0, 5.0],
        }
    )
    cells = intervals(frame, ["model"], ["rate", "dogs"])
    assert list(cells.index) == ["z", "a"]
    assert list(cells.columns) == ["rate", "dogs"]
    summary = summarise(frame, ["model"]).set_index(["model", "value"])
    for model in ("z", "a"):
        for value in ("rate", "dogs"):
            ends = summary.loc[(model, value), ["mean", "low", "high"]]
            assert cells.loc[model, value] == tuple(ends)
    two = intervals(frame, ["model", "size"], ["dogs"])
    assert list(two.index) == [("z", 8), ("a", 2)]
    assert two.index.names == ["model", "size"]
