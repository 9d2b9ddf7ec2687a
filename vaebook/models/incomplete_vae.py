"""A VAE for tables with missing entries: the bound of what was observed (chapter 13)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaebook._checks import check_count, check_images
from vaebook._random import seeded
from vaebook.distributions import DiagonalGaussian, standard_normal
from vaebook.distributions.gaussian import LOG_TWO_PI
from vaebook.models.networks import MLP

LIMIT = 50.0  # the largest standardised value that a packed table can hold
SIGMA_FLOOR = 0.03  # of a column, in its standard deviations


def pack_table(table: Float[Tensor, "n d"]) -> Float[Tensor, "n 2 1 d"]:
    """A standardised table as "pictures" of two channels, which ``fit`` takes.

    Channel 0 holds 0.5 + value / 100, and 0.5, the column's mean, where nothing was observed;
    channel 1 is 1 where there was. Nobody can mistake a filling for a value.

    Args:
        table: columns with mean 0 and standard deviation 1; NaN where an entry is missing.

    Raises:
        ValueError: if it is no float table, or holds a value beyond ±50 standard deviations.
    """
    if table.ndim != 2 or not table.is_floating_point():
        raise ValueError(
            f"the table is {table.dtype} {tuple(table.shape)}; expected floats [n, columns] with "
            "NaN for what is missing."
        )
    observed = ~torch.isnan(table)
    filled = torch.nan_to_num(table, nan=0.0)
    if float(filled.abs().max()) > LIMIT:
        raise ValueError(
            f"the table holds {float(filled.abs().max()):.3g} standard deviations; expected at "
            f"most {LIMIT:g}. Standardise each column, or transform one with such outliers."
        )
    return torch.stack([0.5 + filled / (2 * LIMIT), observed.to(table)], 1)[:, :, None]


class IncompleteVAE(nn.Module):
    r"""p(z) p(x | z) with Gaussian columns, trained on the entries that were observed.

    Given z the columns are independent, so a missing one integrates to 1 and drops out of the
    likelihood. What is left is a bound of log p(observed), with K importance samples:

    .. math:: \log \frac1K \sum_k \frac{p(z_k)}{q(z_k \mid x_o)} \prod_{j \in o} p(x_j \mid z_k)

    Args:
        num_columns: d.
        latent_dim: numbers in a code.
        network: plan of encoder and decoder.
        num_importance: K; 1 gives the ELBO.

    Source:
        Mattei & Frellsen (2019), eq. 4, with Gaussian columns; Nazábal et al. (2020) for K = 1.
    """

    def __init__(
        self,
        num_columns: int,
        latent_dim: int,
        *,
        network: MLP | None = None,
        num_importance: int = 1,
    ) -> None:
        super().__init__()
        check_count("num_columns", num_columns)
        check_count("latent_dim", latent_dim)
        check_count("num_importance", num_importance)
        self.num_columns, self.latent_dim = num_columns, latent_dim
        self.num_importance = num_importance
        plan = network if network is not None else MLP((128,))
        self.encoder = plan.encoder((2, 1, num_columns), 2 * latent_dim)
        self.decoder = plan.decoder(latent_dim, (1, 1, num_columns))
        self.log_sigma = nn.Parameter(torch.zeros(num_columns))

    def _unpack(
        self, packed: Float[Tensor, "n 2 1 d"]
    ) -> tuple[Float[Tensor, "n d"], Bool[Tensor, "n d"]]:
        check_images(packed, (2, 1, self.num_columns), name="the packed table")
        values = (packed[:, 0, 0] - 0.5) * (2 * LIMIT)
        return values, packed[:, 1, 0] > 0.5

    def posterior(self, packed: Float[Tensor, "n 2 1 d"]) -> DiagonalGaussian:
        """q(z | observed) of each row."""
        values, observed = self._unpack(packed)
        known = torch.stack([values * observed, observed.to(values)], 1)[:, :, None]
        return DiagonalGaussian(*self.encoder(known).chunk(2, dim=1))

    def _means(self, codes: Float[Tensor, "*batch l"]) -> Float[Tensor, "*batch d"]:
        output: Tensor = self.decoder(codes.reshape(-1, self.latent_dim))
        return output.reshape(*codes.shape[:-1], self.num_columns)

    def log_weights(
        self, packed: Float[Tensor, "n 2 1 d"], codes: Float[Tensor, "k n l"]
    ) -> Float[Tensor, "k n"]:
        """log p(observed, z) − log q(z | observed) in nats, over the observed entries alone."""
        values, observed = self._unpack(packed)
        log_sigma = self.log_sigma.clamp(min=math.log(SIGMA_FLOOR))
        squares = (values - self._means(codes)).square() * torch.exp(-2 * log_sigma)
        each = -0.5 * (squares + 2 * log_sigma + LOG_TWO_PI)  # [k, n, d]
        log_likelihood = (each * observed).sum(-1)
        prior, posterior = standard_normal(self.latent_dim), self.posterior(packed)
        return log_likelihood + prior.log_prob(codes) - posterior.log_prob(codes)

    def loss(self, packed: Float[Tensor, "n 2 1 d"]) -> Float[Tensor, " n"]:
        """The negative bound of log p(observed) in nats, one value per row."""
        codes = self.posterior(packed).rsample((self.num_importance,))
        log_weights = self.log_weights(packed, codes)
        return math.log(self.num_importance) - torch.logsumexp(log_weights, 0)

    @torch.no_grad()
    def impute(
        self, table: Float[Tensor, "n d"], *, num_samples: int = 500, seed: int = 0
    ) -> Float[Tensor, "n d"]:
        r"""The table with E[missing | observed] in its gaps; what was observed stays.

        The mean is over the model's posterior, by self-normalised importance sampling:
        Σ_k w_k E[x | z_k] / Σ_k w_k with z_k ~ q(z | observed).

        Args:
            table: standardised, NaN where an entry is missing.
            num_samples: codes for each row.
            seed: of the codes.

        Source:
            Mattei & Frellsen (2019), section 3.3.
        """
        check_count("num_samples", num_samples)
        packed = pack_table(table)
        with seeded(seed):
            codes = self.posterior(packed).sample((num_samples,))
        weights = torch.softmax(self.log_weights(packed, codes), 0)  # [k, n]
        means = (weights[..., None] * self._means(codes)).sum(0)
        return torch.where(torch.isnan(table), means, table)
