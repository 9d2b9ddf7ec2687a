"""Volumes, norms and orthants, against counting, SciPy and known answers."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import distance

from vaebook.distributions import fit_gaussian
from vaebook.metrics import (
    log_ball_volume,
    mahalanobis,
    principal_dimensions,
    share_in_orthants_of,
)
from vaebook.training import seeded


def test_the_ball_s_volume_in_one_two_three_dimensions():
    for dimension, volume in ((1, 2 * 1.5), (2, math.pi * 1.5**2), (3, 4 / 3 * math.pi * 1.5**3)):
        assert math.exp(log_ball_volume(dimension, 1.5)) == pytest.approx(volume, rel=1e-12)


@pytest.mark.parametrize("dimension", [2, 5, 9])
def test_the_ball_s_share_of_its_cube_is_what_darts_say(dimension):
    with seeded(0):
        darts = 2 * torch.rand(200_000, dimension) - 1
    hits = (darts.norm(dim=1) <= 1).double().mean().item()
    share = math.exp(log_ball_volume(dimension) - dimension * math.log(2))
    assert abs(hits - share) < 4 * math.sqrt(share * (1 - share) / 200_000)


def test_mahalanobis_is_scipy_s_and_about_root_d():
    with seeded(1):
        codes = torch.randn(500, 6) @ torch.randn(6, 6) + 3.0
    gaussian = fit_gaussian(codes)
    mean, precision = codes.double().mean(0).numpy(), np.linalg.inv(np.cov(codes.double().T))
    expected = [distance.mahalanobis(code, mean, precision) for code in codes.double().numpy()]
    np.testing.assert_allclose(mahalanobis(codes, gaussian), expected, rtol=1e-3)
    assert mahalanobis(codes, gaussian).mean().item() == pytest.approx(math.sqrt(6), rel=0.1)


def test_principal_dimensions_of_a_plane_in_space():
    with seeded(2):
        plane = torch.randn(300, 2) @ torch.randn(2, 10) + 5.0
        noisy = plane + 1e-3 * torch.randn(300, 10)
    assert principal_dimensions(plane) == 2
    assert principal_dimensions(noisy) == 2
    assert principal_dimensions(noisy, 0.99999999) == 10
    with seeded(2):
        assert principal_dimensions(torch.randn(5000, 10)) == 10


def test_orthants_are_counted_from_the_median():
    reference = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])  # two of four
    codes = torch.tensor([[5.0, 5.0], [-5.0, 5.0], [-5.0, -5.0], [5.0, -5.0]])
    assert share_in_orthants_of(codes, reference) == (0.5, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: log_ball_volume(0),
        lambda: log_ball_volume(3, -1.0),
        lambda: principal_dimensions(torch.ones(5, 2)),
        lambda: principal_dimensions(torch.eye(3), 1.0),
        lambda: mahalanobis(torch.zeros(4, 3), fit_gaussian(torch.eye(5, 2))),
    ],
)
def test_wrong_input_is_refused(call):
    with pytest.raises(ValueError, match=r"expected|do not vary"):
        call()


def test_an_orthant_is_a_side_of_each_median_and_the_median_is_below():
    reference = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 0.0]])  # medians 1 and 0
    # below and below, below and above, above and below; never above and above
    codes = torch.tensor([[-9.0, -9.0], [-9.0, 9.0], [9.0, -9.0], [9.0, 9.0], [1.0, 0.0]])
    assert share_in_orthants_of(codes, reference) == (0.8, 3)


def test_two_codes_are_a_line_and_one_is_none():
    assert principal_dimensions(torch.tensor([[0.0, 1.0], [2.0, 5.0]])) == 1
    with pytest.raises(ValueError, match="2 or more codes"):
        principal_dimensions(torch.tensor([[0.0, 1.0]]))
    # a component is needed only as long as those before it hold less than the share
    cross = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # shares 0.9 and 0.1
    assert [principal_dimensions(cross, share) for share in (0.89, 0.91)] == [1, 2]


def test_the_distance_of_codes_of_another_precision():
    with seeded(1):
        codes = torch.randn(50, 3)
    gaussian = fit_gaussian(codes)
    found = mahalanobis(codes.double(), gaussian)
    torch.testing.assert_close(found, mahalanobis(codes, gaussian))


def test_one_code_has_an_orthant():
    one = torch.tensor([[1.0, 2.0]])
    assert share_in_orthants_of(one, one) == (1.0, 1)
    with pytest.raises(ValueError, match=r"expected \[n, d\], a row for each code\."):
        share_in_orthants_of(torch.zeros(0, 2), one)
