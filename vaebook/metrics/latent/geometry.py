"""Where codes lie: volumes, norms, and how much of the space they fill (chapter 02)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal

from vaebook._checks import check_count, check_real
from vaebook.metrics._inputs import as_table, as_tables


def log_ball_volume(num_dimensions: int, radius: float = 1.0) -> float:
    """Logarithm of the volume of a ball: log of π^(n/2) rⁿ / Γ(n/2 + 1).

    The logarithm, because the volume itself leaves the range of a float at a few hundred
    dimensions.

    Args:
        num_dimensions: n, at least 1.
        radius: r, above 0.

    Raises:
        ValueError: if a number is not what is said here.

    Source:
        Chapter 02, equation 2.3.
    """
    check_count("num_dimensions", num_dimensions)
    check_real("radius", radius, above=0)
    half = num_dimensions / 2
    return half * math.log(math.pi) + num_dimensions * math.log(radius) - math.lgamma(half + 1)


def mahalanobis(codes: Float[Tensor, "n d"], gaussian: MultivariateNormal) -> Float[Tensor, " n"]:
    """Distance of each code from a Gaussian's mean, in its standard deviations.

    √((z − m)ᵀ S⁻¹ (z − m)). For draws of that Gaussian it is about √d, not 0.

    Raises:
        ValueError: if the codes' dimension is not the Gaussian's, or that is no single Gaussian.
    """
    if not isinstance(gaussian, MultivariateNormal) or gaussian.batch_shape:
        batch = tuple(getattr(gaussian, "batch_shape", ()))
        raise ValueError(
            f"gaussian is a {type(gaussian).__name__} with batch shape {batch}; expected a single "
            "MultivariateNormal. Fit one with fit_gaussian(codes)."
        )
    codes = as_table("codes", codes, what="code").to(gaussian.loc)
    if codes.shape[1] != gaussian.loc.shape[-1]:
        raise ValueError(
            f"codes has shape {tuple(codes.shape)}; expected [n, {gaussian.loc.shape[-1]}], as the "
            "Gaussian's mean has it."
        )
    whitened = torch.linalg.solve_triangular(
        gaussian.scale_tril, (codes - gaussian.loc).T, upper=False
    )
    return whitened.square().sum(0).sqrt()


def principal_dimensions(codes: Float[Tensor, "n d"], share: float = 0.99) -> int:
    """How many principal components hold ``share`` of the codes' variance.

    Raises:
        ValueError: if ``share`` is not between 0 and 1, or the codes do not vary.
    """
    share = check_real("share", share, above=0, below=1)
    codes = as_table("codes", codes, minimum=2, what="code")
    variances = torch.linalg.svdvals(codes.double() - codes.double().mean(0)) ** 2
    if not variances.sum() > 0:
        raise ValueError(
            f"codes holds {len(codes)} rows that do not vary; expected at least two different ones."
        )
    cumulative = variances.cumsum(0) / variances.sum()
    return int((cumulative < share).sum()) + 1


def share_in_orthants_of(
    codes: Float[Tensor, "n d"], reference: Float[Tensor, "m d"]
) -> tuple[float, int]:
    """The share of ``codes`` whose orthant holds a code of ``reference``.

    Orthants are counted from the median of ``reference``.

    Returns:
        That share, and how many orthants ``reference`` occupies.

    Raises:
        ValueError: if the sets are not tables of as many numbers.
    """
    codes, reference = as_tables(what="code", codes=codes, reference=reference)
    centre = reference.median(0).values
    occupied = {tuple(row) for row in (reference > centre).tolist()}
    inside = [tuple(row) in occupied for row in (codes > centre).tolist()]
    return sum(inside) / len(inside), len(occupied)
