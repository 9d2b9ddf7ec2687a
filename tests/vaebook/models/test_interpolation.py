"""Walks between codes."""

import math

import pytest
import torch

from vaebook.models import slerp
from vaebook.training import seeded


def test_a_quarter_circle():
    start, end = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    for weight in (0.0, 0.25, 0.5, 1.0):
        angle = weight * math.pi / 2
        expected = torch.tensor([[math.cos(angle), math.sin(angle)]])
        torch.testing.assert_close(slerp(start, end, weight), expected)


@pytest.mark.parametrize("dimension", [2, 8, 64])
def test_it_keeps_a_common_norm_and_the_straight_walk_does_not(dimension):
    with seeded(0):
        start, end = torch.randn(2, 100, dimension)
        end = end * (start.norm(dim=1) / end.norm(dim=1))[:, None]
    middle = slerp(start, end, 0.5)
    torch.testing.assert_close(middle.norm(dim=1), start.norm(dim=1), rtol=1e-4, atol=1e-4)
    assert (torch.lerp(start, end, 0.5).norm(dim=1) < start.norm(dim=1)).all()


def test_nearly_parallel_codes_give_the_straight_walk():
    start = torch.tensor([[3.0, 4.0]])
    torch.testing.assert_close(slerp(start, 2 * start, 0.25), 1.25 * start)
    torch.testing.assert_close(slerp(start, start, 0.5), start)


def test_opposite_codes_have_no_shortest_great_circle():
    start = torch.tensor([[3.0, 4.0]])
    with pytest.raises(ValueError, match="opposite"):
        slerp(start, -start, 0.5)
    with pytest.raises(ValueError, match="shapes differ"):
        slerp(start, start[0], 0.5)


def test_codes_may_come_in_stacks():
    """Several walks of several pairs: each is its own."""
    with seeded(0):
        start, end = torch.randn(2, 3, 4, 5)
    found = slerp(start, end, 0.3)
    assert found.shape == (3, 4, 5)
    torch.testing.assert_close(
        found.flatten(0, 1), slerp(start.flatten(0, 1), end.flatten(0, 1), 0.3)
    )
    torch.testing.assert_close(slerp(start[0, 0], end[0, 0], 0.3), found[0, 0])
