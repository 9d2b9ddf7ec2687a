"""How much of the factors' ranges dogs cover."""

import pytest
import torch

from vaebook.metrics.dogs import coverage


def test_no_dogs_cover_nothing_and_are_a_table_all_the_same() -> None:
    assert coverage(torch.zeros(0, 16)) == 0.0
    for shape in ((0, 3), (0,), (0, 17)):
        with pytest.raises(ValueError, match="factors has shape"):
            coverage(torch.zeros(shape))
