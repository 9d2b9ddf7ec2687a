"""The chapters as tests."""

import os

import pytest

os.environ.setdefault(
    "TQDM_DISABLE", "1"
)  # a bar's text would differ from run to run


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cells of a chapter run one after the other, in one kernel: on one worker."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
