"""The two Gaussians of chapter 04: what ships with the package."""

from vaebook.explorer import KLExplorer
from vaebook.explorer.kl import START


def test_it_starts_from_the_example_of_the_chapter() -> None:
    assert KLExplorer().data() == {"start": START}
    assert (START["mu"], START["sigma"], START["m"], START["tau"]) == (1.0, 0.5, 0.0, 1.0)
