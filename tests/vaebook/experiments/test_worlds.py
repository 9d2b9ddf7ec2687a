"""Rows of made-up records are computed once, and handed out anew each time."""

import numpy as np
import pytest

from vaebook.experiments.propositions.answers import grouped
from vaebook.experiments.propositions.worlds import cells, group_numbers

LEVELS = {"model": ("b", "a"), "size": (3, 1, 2)}


def test_what_is_done_to_a_table_does_not_reach_the_next() -> None:
    first = cells(4, LEVELS)
    expected = first.to_dict("list")
    first["value"] = 1.0
    first.loc[:, "size"] = 7
    assert cells(4, LEVELS).to_dict("list") == expected


def test_levels_that_are_equal_but_of_other_kinds_keep_them() -> None:
    kinds = [cells(2, {"size": values})["size"].dtype for values in ((1, 2), (1.0, 2.0))]
    assert kinds == [np.dtype("int64"), np.dtype("float64")]


@pytest.mark.parametrize("names", [["seed"], ["seed", "model"], ["size"], ["model", "size"]])
def test_numbers_of_groups_are_those_of_pandas(names: list[str]) -> None:
    found = group_numbers(4, LEVELS, names)
    expected = cells(4, LEVELS).groupby(names, sort=False).ngroup()
    assert found.tolist() == expected.tolist()
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 5


@pytest.mark.parametrize("names", [["model"], ["size", "model"], ["seed", "size"]])
def test_groups_are_those_of_pandas(names: list[str]) -> None:
    table = cells(4, LEVELS).sample(frac=1, random_state=1).assign(value=range(24))
    expected = table.groupby(names, sort=False)
    found = grouped(table, names)
    assert [key for key, _ in found] == [key for key, _ in expected]
    for (_, part), (_, rows) in zip(found, expected, strict=True):
        assert {name: column.tolist() for name, column in part.items()} == rows.to_dict("list")


def test_without_a_name_all_rows_are_one_group() -> None:
    ((key, part),) = grouped(cells(4, LEVELS), ())
    assert key == ()
    assert part["size"].tolist() == cells(4, LEVELS)["size"].tolist()
