"""Distributions over discrete codes, fitted to those of a VQ-VAE (chapter 09)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, constraints
from torch.nn import functional as F

from vaebook._checks import check_count, kind_of
from vaebook._random import seeded
from vaebook.distributions.made import MADE
from vaebook.training import KeepBest, fit

PSEUDO_COUNT = 0.5  # of each code at each place, so that none is impossible
HELD_OUT = 0.1  # share of the pictures whose codes decide when to stop


class AutoregressiveCodes(Distribution):
    r"""Discrete codes, each drawn given those before it.

    .. math:: p(z) = \prod_i p(z_i \mid z_1, \dots, z_{i-1})

    Args:
        network: gives the logits of each place from the codes before it, all one-hot.
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
        """Rows of whole numbers below K."""
        return constraints.independent(
            constraints.integer_interval(0, self.network.num_values - 1), 1
        )

    def logits(self, codes: Int[Tensor, "*batch l"]) -> Float[Tensor, "*batch l k"]:
        """Of every vector of the codebook at each place, from the codes before it."""
        one_hot = F.one_hot(codes, self.network.num_values).flatten(-2)
        weight = next(self.network.parameters())
        outputs: Tensor = self.network(one_hot.to(weight.dtype))
        return outputs.unflatten(-1, (self.network.num_variables, self.network.num_values))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of each row of codes in nats, ``[...]``."""
        log_share = torch.log_softmax(self.logits(value), -1)
        return log_share.gather(-1, value.unsqueeze(-1)).squeeze(-1).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draw codes ``[*sample_shape, l]``, one pass of the network for each place."""
        device = next(self.network.parameters()).device
        shape = self._extended_shape(torch.Size(sample_shape))
        codes = torch.zeros(shape, dtype=torch.long, device=device)
        for place in range(self.network.num_variables):
            codes[..., place] = Categorical(logits=self.logits(codes)[..., place, :]).sample()
        return codes


class _Training(nn.Module):
    """The network while ``fit`` trains it."""

    def __init__(self, network: MADE) -> None:
        super().__init__()
        self.network = network

    def loss(self, codes: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
        """−log p(codes) of each row in nats."""
        return -AutoregressiveCodes(self.network).log_prob(codes)


def fit_codes(
    codes: Int[Tensor, "n l"],
    codebook_size: int,
    *,
    autoregressive: bool = False,
    num_epochs: int = 15,
    seed: int = 0,
) -> Distribution:
    """A distribution over discrete codes, fitted to those of the training pictures.

    Args:
        codes: a row for each picture, whole numbers from 0 to ``codebook_size`` − 1.
        codebook_size: K, how many vectors there are to choose from.
        autoregressive: let each code depend on those before it, by a masked network, instead of
            counting each place on its own.
        num_epochs: passes of the network over the rows. A tenth of them is held out, and the epoch
            that finds these most probable is kept.
        seed: of the network, its training, and the choice of the held-out rows.

    Raises:
        ValueError: if the codes are no such table, or fewer than 20 for the network.
    """
    check_count("codebook_size", codebook_size, minimum=2)
    check_count("num_epochs", num_epochs)
    check_count("seed", seed, minimum=0)
    if not isinstance(codes, Tensor) or codes.ndim != 2 or codes.dtype != torch.long:
        raise ValueError(f"codes is {kind_of(codes)}; expected whole numbers (torch.long) [n, l].")
    if not len(codes) or codes.min() < 0 or codes.max() >= codebook_size:
        raise ValueError(
            f"codes must lie from 0 to {codebook_size - 1}, with at least one row; "
            f"given {len(codes)} rows. Pass the codebook's size as codebook_size."
        )
    if not autoregressive:
        counts = F.one_hot(codes, codebook_size).sum(0) + PSEUDO_COUNT  # [l, k]
        return Independent(Categorical(probs=counts / counts.sum(-1, keepdim=True)), 1)
    if len(codes) < 20:
        raise ValueError(f"{len(codes)} rows of codes are too few; expected at least 20.")
    with seeded(seed):
        network = MADE(codes.shape[1], num_values=codebook_size).to(codes.device)
        order = torch.randperm(len(codes))
    num_held_out = int(HELD_OUT * len(codes))
    fit(
        _Training(network),
        codes[order[num_held_out:]],
        num_epochs=num_epochs,
        batch_size=256,
        lr=4e-3,
        seed=seed,
        validation=codes[order[:num_held_out]],
        callbacks=[KeepBest()],
        progress=False,
    )
    network.requires_grad_(False)
    return AutoregressiveCodes(network)
