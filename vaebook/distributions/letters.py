"""Distributions over words of letters, fitted to the codes of a VQ-VAE (chapter 09)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, constraints
from torch.nn import functional as F

from vaebook._checks import check_count
from vaebook._random import seeded
from vaebook.distributions.made import MADE
from vaebook.training import KeepBest, fit

PSEUDO_COUNT = 0.5  # of each letter at each place, so that none is impossible
HELD_OUT = 0.1  # share of the words that decide when to stop


class AutoregressiveLetters(Distribution):
    r"""Words drawn letter by letter: :math:`p(z) = \prod_i p(z_i \mid z_1, \dots, z_{i-1})`.

    Args:
        network: gives the logits of each letter from those before it, all one-hot.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 (the base class's way)

    def __init__(self, network: MADE) -> None:
        if not isinstance(network, MADE):
            raise ValueError(f"network is a {type(network).__name__}; expected a MADE.")
        self.network = network
        shape = torch.Size((network.num_variables,))
        super().__init__(event_shape=shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """Words of whole numbers below K."""
        return constraints.independent(
            constraints.integer_interval(0, self.network.num_values - 1), 1
        )

    def logits(self, letters: Int[Tensor, "*batch l"]) -> Float[Tensor, "*batch l k"]:
        """Of each letter at every place, from the letters before it."""
        one_hot = F.one_hot(letters, self.network.num_values).flatten(-2)
        weight = next(self.network.parameters())
        outputs: Tensor = self.network(one_hot.to(weight.dtype))
        return outputs.unflatten(-1, (self.network.num_variables, self.network.num_values))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of each word in nats, ``[...]``."""
        log_share = torch.log_softmax(self.logits(value), -1)
        return log_share.gather(-1, value.unsqueeze(-1)).squeeze(-1).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw words ``[*sample_shape, l]``, one pass of the network for each letter."""
        device = next(self.network.parameters()).device
        shape = self._extended_shape(torch.Size(sample_shape))
        words = torch.zeros(shape, dtype=torch.long, device=device)
        for place in range(self.network.num_variables):
            words[..., place] = Categorical(logits=self.logits(words)[..., place, :]).sample()
        return words


class _Training(nn.Module):
    """The network while ``fit`` trains it."""

    def __init__(self, network: MADE) -> None:
        super().__init__()
        self.network = network

    def loss(self, letters: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
        """−log p(word) of each word in nats."""
        return -AutoregressiveLetters(self.network).log_prob(letters)


def fit_letters(
    letters: Int[Tensor, "n l"],
    alphabet_size: int,
    *,
    autoregressive: bool = False,
    num_epochs: int = 15,
    seed: int = 0,
) -> Distribution:
    """A distribution over words, fitted to those of the training pictures.

    Args:
        letters: one word for each picture, whole numbers from 0 to ``alphabet_size`` − 1.
        alphabet_size: K, how many different letters there are.
        autoregressive: let each letter depend on those before it, by a masked network, instead of
            counting each place on its own.
        num_epochs: passes of the network over the words. A tenth of the words is held out, and the
            epoch that finds them most probable is kept.
        seed: of the network, its training, and the choice of the held-out words.

    Raises:
        ValueError: if the letters are no such table, or fewer than 20 for the network.
    """
    check_count("alphabet_size", alphabet_size, minimum=2)
    check_count("num_epochs", num_epochs)
    check_count("seed", seed, minimum=0)
    if not isinstance(letters, Tensor) or letters.ndim != 2 or letters.dtype != torch.long:
        given = (
            f"{letters.dtype} {tuple(letters.shape)}"
            if isinstance(letters, Tensor)
            else type(letters).__name__
        )
        raise ValueError(f"letters is {given}; expected whole numbers (torch.long) [n, l].")
    if not len(letters) or letters.min() < 0 or letters.max() >= alphabet_size:
        raise ValueError(
            f"letters must lie from 0 to {alphabet_size - 1}, with at least one word; "
            f"given {len(letters)} words. Pass the codebook's size as alphabet_size."
        )
    if autoregressive:
        return _fit_network(letters, alphabet_size, num_epochs=num_epochs, seed=seed)
    counts = F.one_hot(letters, alphabet_size).sum(0) + PSEUDO_COUNT  # [l, k]
    return Independent(Categorical(probs=counts / counts.sum(-1, keepdim=True)), 1)


def _fit_network(
    letters: Int[Tensor, "n l"], alphabet_size: int, *, num_epochs: int, seed: int
) -> AutoregressiveLetters:
    if len(letters) < 20:
        raise ValueError(f"{len(letters)} words are too few; expected at least 20.")
    with seeded(seed):
        network = MADE(letters.shape[1], num_values=alphabet_size).to(letters.device)
        order = torch.randperm(len(letters))
    num_held_out = int(HELD_OUT * len(letters))
    fit(
        _Training(network),
        letters[order[num_held_out:]],
        num_epochs=num_epochs,
        batch_size=256,
        lr=4e-3,
        seed=seed,
        validation=letters[order[:num_held_out]],
        callbacks=[KeepBest()],
        progress=False,
    )
    network.requires_grad_(False)
    return AutoregressiveLetters(network)
