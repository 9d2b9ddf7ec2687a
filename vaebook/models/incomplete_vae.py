"""A VAE for tables with missing entries: the bound of what was observed (chapter 13)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from vaebook._checks import check_count, check_finite, check_tensor, kind_of
from vaebook.distributions import DiagonalGaussian, FixedPrior, standard_normal
from vaebook.distributions.gaussian import LOG_TWO_PI
from vaebook.models.latent_variable import LatentVariableModel, evaluating
from vaebook.models.networks import MLP, as_network

NUMBERS_AT_ONCE = 2**18  # of imputed rows: 1 MiB, and some times that inside the network
Table = Float[Tensor, "n d"]
Mask = Bool[Tensor, "n d"]  # true where an entry was observed
SIGMA_FLOOR = 0.03  # of a column, in its standard deviations


class IncompleteVAE(LatentVariableModel):
    r"""p(z) p(x | z) with Gaussian columns, trained on the entries that were observed.

    Given z the columns are independent, so a missing one integrates to 1 and drops out of the
    likelihood. What is left is a bound of log p(observed), with K importance samples:

    .. math:: \log \frac1K \sum_k \frac{p(z_k)}{q(z_k \mid x_o)} \prod_{j \in o} p(x_j \mid z_k)

    A table is floats ``[n, d]`` in units of each column's standard deviation, about its mean, with
    anything where an entry is missing, and a mask ``[n, d]`` that is true where it was observed.
    Train with ``fit(model, (values, observed), …)``. Without a mask, NaN says what is missing.

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
        check_count("num_columns", num_columns)
        check_count("num_importance", num_importance)
        super().__init__((1, 1, num_columns), latent_dim)
        self.num_columns, self.num_importance = num_columns, num_importance
        plan = network if network is not None else MLP((128,))
        self.encoder = as_network(plan).encoder((2, 1, num_columns), 2 * self.latent_dim)
        self.decoder = as_network(plan).decoder(self.latent_dim, (1, 1, num_columns))
        self.log_sigma = nn.Parameter(torch.zeros(num_columns))
        self._prior = FixedPrior(standard_normal(self.latent_dim))

    def check(self, values: Table, observed: Mask | None = None) -> None:
        """Raise a ``ValueError`` for a table or a mask that :meth:`loss` cannot take."""
        self._table(values, observed)

    def _table(self, values: Table, observed: Mask | None) -> tuple[Table, Mask]:
        """The values with 0 where an entry is missing, and the mask, on the model's device."""
        check_tensor("the table", values)
        if values.ndim != 2 or values.shape[1] != self.num_columns:
            raise ValueError(
                f"the table has shape {tuple(values.shape)}; expected [n, {self.num_columns}], a "
                "row for each example."
            )
        if values.dtype != self.dtype:
            raise ValueError(
                f"the table has dtype {values.dtype}; this model computes in {self.dtype}. Convert "
                f"it with table.to({self.dtype})."
            )
        if observed is None:
            observed = ~torch.isnan(values)
        check_tensor("observed", observed)
        if observed.dtype != torch.bool or observed.shape != values.shape:
            raise ValueError(
                f"observed is {kind_of(observed)}; expected booleans {tuple(values.shape)}, true "
                "where an entry of the table was observed."
            )
        values, observed = values.to(self.device), observed.to(self.device)
        filled = torch.where(observed, values, 0.0)
        check_finite("the observed part of the table", filled)
        return filled, observed

    def posterior(self, values: Table, observed: Mask | None = None) -> DiagonalGaussian:
        """q(z | observed) of each row."""
        filled, known = self._table(values, observed)
        seen = torch.stack([filled, known.to(filled)], 1)[:, :, None]  # [n, 2, 1, d]
        return DiagonalGaussian(*self.encoder(seen).to(self.dtype).chunk(2, dim=1))

    def likelihood_of(self, codes: Float[Tensor, "*batch l"]) -> Independent:
        """p(x | z) for each code, a distribution over complete rows."""
        sigma = self._log_sigma().exp()
        return Independent(Normal(self._means(codes), sigma, validate_args=False), 1)

    def _log_sigma(self) -> Float[Tensor, " d"]:
        return self.log_sigma.clamp(min=math.log(SIGMA_FLOOR))

    def _means(self, codes: Float[Tensor, "*batch l"]) -> Float[Tensor, "*batch d"]:
        output: Tensor = self.decoder(codes.reshape(-1, self.latent_dim)).to(self.dtype)
        return output.reshape(*codes.shape[:-1], self.num_columns)

    def log_weights(
        self, values: Table, observed: Mask, codes: Float[Tensor, "k n l"]
    ) -> Float[Tensor, "k n"]:
        """log p(observed, z) − log q(z | observed) in nats, over the observed entries alone."""
        values, observed = self._table(values, observed)
        log_sigma = self._log_sigma()
        squares = (values - self._means(codes)).square() * torch.exp(-2 * log_sigma)
        each = -0.5 * (squares + 2 * log_sigma + LOG_TWO_PI)  # [k, n, d]
        log_likelihood = (each * observed).sum(-1)
        posterior = self.posterior(values, observed)
        return log_likelihood + self.prior.log_prob(codes) - posterior.log_prob(codes)

    @property
    def prior(self) -> Distribution:
        """p(z) = N(0, I)."""
        return self._prior()

    def loss(self, values: Table, observed: Mask | None = None) -> Float[Tensor, " n"]:
        """The negative bound of log p(observed) in nats, one value per row."""
        values, observed = self._table(values, observed)
        codes = self.posterior(values, observed).rsample((self.num_importance,))
        log_weights = self.log_weights(values, observed, codes)
        return math.log(self.num_importance) - torch.logsumexp(log_weights, 0)

    def encode(self, values: Table, observed: Mask | None = None) -> Float[Tensor, "n l"]:
        """The mean of q(z | observed) for each row."""
        return self.posterior(values, observed).mean

    def decode(self, codes: Float[Tensor, "n l"]) -> Table:
        """The mean row of p(x | z) for each code, complete."""
        return self._means(self._codes(codes))

    def forward(self, values: Table, *observed: Mask) -> Table:
        """Each row after a trip through its code, complete, with gradients."""
        return self.decode(self.encode(values, *observed))

    def sample(self, num_rows: int, *, seed: int | None = None) -> Table:
        """New rows: z from the prior, then the mean row of p(x | z); no gradient is kept."""
        return self.decode_all(self._draw(self.prior, num_rows, seed, "num_rows"))

    @torch.no_grad()
    def impute(self, table: Table, *, num_samples: int = 500, seed: int = 0) -> Table:
        r"""The table with E[missing | observed] in its gaps; what was observed stays.

        The mean is over the model's posterior, by self-normalised importance sampling:
        Σ_k w_k E[x | z_k] / Σ_k w_k with z_k ~ q(z | observed).

        Args:
            table: standardised, NaN where an entry is missing.
            num_samples: codes for each row.
            seed: of the codes.

        Source:
            Mattei & Frellsen (2019).
        """
        values, observed = self._table(table, None)
        with evaluating(self):
            codes = self._draw(self.posterior(values, observed), num_samples, seed, "num_samples")
            at_once = max(1, NUMBERS_AT_ONCE // (num_samples * self.num_columns))
            means = torch.empty_like(values)  # at once: small pieces would break up the memory
            for start in range(0, len(values), at_once):
                rows = slice(start, start + at_once)
                means[rows] = self._expected(values[rows], observed[rows], codes[:, rows])
        return torch.where(torch.isnan(table), means.to(table.device), table)

    def _expected(self, values: Table, observed: Mask, codes: Float[Tensor, "k n l"]) -> Table:
        """E[x | observed] of each row, from codes of its posterior."""
        weights = torch.softmax(self.log_weights(values, observed, codes), 0)  # [k, n]
        return (weights[..., None] * self._means(codes)).sum(0)
