"""A model of dogs that is right by construction: its decoder is the renderer itself."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaebook.data import render
from vaebook.data.dogs import factor_range


class DogWorld(NamedTuple):
    """A network whose every code is a dog, and every picture's posterior N(0, I).

    So codes of all pictures together are N(0, I) exactly, and whatever they are drawn from, a box,
    a corner or a fitted density, they decode to dogs.
    """

    def encoder(self, image_shape: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """Zeros: mean 0 and log-variance 0."""
        blind = nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2], num_outputs))
        for parameter in blind.parameters():
            nn.init.zeros_(parameter)
        return blind

    def decoder(self, latent_dim: int, image_shape: tuple[int, int, int]) -> nn.Module:
        """The renderer."""
        return Renderer()


class Renderer(nn.Module):
    """Codes of any length to the logits of a dog.

    Φ takes each number to its place in the range of a factor. Factors for which there is no number
    stay in the middle, and numbers for which there is no factor mean nothing.
    """

    def forward(self, codes: Tensor) -> Tensor:
        low, high = factor_range()
        place = torch.full((len(codes), len(low)), 0.5)
        used = min(codes.shape[1], len(low))
        place[:, :used] = torch.special.ndtr(codes[:, :used])
        return torch.logit(render(low + (high - low) * place), eps=1e-6)
