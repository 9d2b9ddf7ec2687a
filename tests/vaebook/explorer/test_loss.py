"""The calculator of chapter 07: what ships, and that the pictures say what they should."""

import torch

from vaebook.distributions import CONVENTIONS
from vaebook.explorer import LossCalculator
from vaebook.explorer.loss import load_pictures
from vaebook.explorer.training.loss import BETAS, SIGMAS


def test_all_losses_in_circulation_can_be_picked() -> None:
    shown = LossCalculator().data()["conventions"]
    assert [how["name"] for how in shown] == [how.name for how in CONVENTIONS]
    assert {how["kl"] for how in shown} == {"1", "128/10000", "0.00025", "1/M"}


def test_the_ladder_is_complete_and_in_order() -> None:
    expected = [f"cross-entropy {beta:g}" for beta in BETAS]
    expected += ["data", *(f"squared error {sigma:g}" for sigma in SIGMAS)]
    assert list(load_pictures()) == expected


def test_a_larger_sigma_blurs_and_the_largest_makes_all_alike() -> None:
    pictures = load_pictures()
    made = [pictures[f"squared error {sigma:g}"][:4] for sigma in SIGMAS]
    errors = [float((pictures["data"] - each).square().mean().sqrt()) for each in made]
    assert errors == sorted(errors)
    variety = [float(each.std(0).mean()) for each in made]
    assert variety[0] > 10 * variety[-1]
    assert torch.stack(made).shape == (len(SIGMAS), 4, 28, 28)
