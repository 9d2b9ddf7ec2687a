"""The Gaussian of a table with missing entries, by EM: the plain way to fill gaps (chapter 13)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaebook._checks import check_count, check_positive, check_tensor, kind_of


@dataclass(frozen=True)
class IncompleteGaussian:
    """N(mean, covariance) over the rows of a table, any of whose entries may be missing.

    Args:
        mean: of each column.
        covariance: of the columns, positive definite.
    """

    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]

    @classmethod
    def fit(
        cls,
        table: Float[Tensor, "n d"],
        *,
        rank: int | None = None,
        num_steps: int = 50,
        ridge: float = 1e-3,
    ) -> "IncompleteGaussian":
        """Maximum likelihood of what was observed, by expectation–maximisation.

        E: fill each row's gaps by their conditional mean, and remember their conditional
        covariance. M: mean and covariance of the filled rows plus the average of what was
        remembered. Leaving that out would make the filled values look certain.

        Args:
            table: NaN where an entry is missing.
            rank: with a number, the covariance is that of probabilistic PCA, W Wᵀ + σ² I with so
                many columns in W: the same M step followed by Tipping & Bishop's closed form.
            num_steps: steps of EM.
            ridge: added to the variances at each step, in squared units of the table.

        Raises:
            ValueError: if a column was never observed, or the rank leaves nothing for σ².

        Source:
            Dempster, Laird & Rubin (1977); Tipping & Bishop (1999).
        """
        check_count("num_steps", num_steps)
        check_positive("ridge", ridge)
        _check_table(table)
        observed = ~torch.isnan(table)
        if not observed.any(0).all():
            empty = int((~observed.any(0)).sum())
            raise ValueError(f"{empty} columns were never observed; drop them.")
        if rank is not None and not 0 < rank < table.shape[1]:
            raise ValueError(f"rank is {rank}; expected 1 to {table.shape[1] - 1}.")
        table = table.double()
        mean = torch.nanmean(table, 0)
        eye = torch.eye(table.shape[1], dtype=torch.double)
        model = cls(mean, torch.diag(torch.nanmean((table - mean) ** 2, 0)) + ridge * eye)
        for _ in range(num_steps):
            filled, doubt = model._fill(table, observed)
            covariance = torch.cov(filled.T, correction=0) + doubt.mean(0) + ridge * eye
            if rank is not None:
                covariance = _low_rank(covariance, rank)
            model = cls(filled.mean(0), covariance)
        return model

    def impute(self, table: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The table with E[missing | observed] in its gaps; what was observed stays."""
        _check_table(table, len(self.mean))
        filled, _ = self._fill(table.double(), ~torch.isnan(table))
        return torch.where(torch.isnan(table), filled.to(table), table)

    def _fill(
        self, table: Float[Tensor, "n d"], observed: Bool[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n d d"]]:
        """The filled rows, and the covariance of what was missing in each.

        Σ_mo Σ_oo⁻¹ for every row at once: outside the observed block the covariance is replaced
        by the identity, whose inverse does not mix with that of the block.
        """
        both = observed[:, :, None] & observed[:, None, :]
        eye = torch.eye(len(self.mean), dtype=self.covariance.dtype)
        inverse = torch.linalg.inv(torch.where(both, self.covariance, eye)) * both
        slope = self.covariance @ inverse  # [n, d, d]
        centred = torch.where(observed, table - self.mean, 0.0)
        guess = self.mean + (slope @ centred[:, :, None])[:, :, 0]
        doubt = self.covariance - slope @ self.covariance
        missing = ~observed
        return (
            torch.where(observed, table, guess),
            doubt * (missing[:, :, None] & missing[:, None, :]),
        )


def _check_table(table: Tensor, num_columns: int | None = None) -> None:
    check_tensor("the table", table)
    fits = table.ndim == 2 and num_columns in (None, table.shape[-1])
    if not fits or not table.is_floating_point():
        columns = "columns" if num_columns is None else num_columns
        raise ValueError(
            f"the table is {kind_of(table)}; expected floats [n, {columns}] with NaN for what is "
            "missing."
        )


def _low_rank(covariance: Float[Tensor, "d d"], rank: int) -> Float[Tensor, "d d"]:
    """The closest covariance of probabilistic PCA: the smaller eigenvalues become their mean."""
    values, vectors = torch.linalg.eigh(covariance)  # in rising order
    values = torch.cat([values[:-rank].mean().expand(len(values) - rank), values[-rank:]])
    return (vectors * values) @ vectors.T
