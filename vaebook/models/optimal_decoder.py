"""The best possible decoder for a given encoder, in closed form (chapter 10)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vaebook._checks import check_codes, check_count, check_images
from vaebook.distributions import DiagonalGaussian


class OptimalDecoder:
    r"""The decoder that no other beats in squared error on a set of pictures, for fixed posteriors.

    .. math:: g^*(z) = \sum_i w_i(z)\, x_i, \qquad
              w_i(z) = \frac{q(z \mid x_i)}{\sum_j q(z \mid x_j)}

    It is the mean picture of all that could have sent the code z. It has no weights and is not
    trained: it holds the pictures themselves, so it says nothing about new ones. Where the
    posteriors are far apart it repeats the nearest picture; where they all agree it gives the mean.

    Args:
        posterior: q(z | x) of each picture, with batch shape ``[n]``.
        images: the pictures, in the same order.

    Raises:
        ValueError: if the posterior is not diagonal or not as long as the images.

    Source:
        Chapter 10, theorem 10.1. The Nadaraya–Watson regression of x on z.
    """

    def __init__(self, posterior: DiagonalGaussian, images: Float[Tensor, "n c h w"]) -> None:
        check_images(images)
        if not isinstance(posterior, DiagonalGaussian):
            raise ValueError(
                f"posterior is a {type(posterior).__name__}; expected a DiagonalGaussian. Get it "
                "with vaebook.metrics.posterior_parameters."
            )
        if posterior.batch_shape != images.shape[:1]:
            raise ValueError(
                f"{len(images)} images but posteriors of batch shape "
                f"{tuple(posterior.batch_shape)}; expected one posterior for each image."
            )
        self.images = images
        self.latent_dim = posterior.event_shape[0]
        # Double precision: log q(z | x) is a small difference of large numbers where σ is small.
        mu, log_var = posterior.mu.double(), posterior.log_var.double()
        precision = torch.exp(-log_var)  # [n, d]
        self._quadratic, self._linear = precision, mu * precision
        # The log-determinant belongs to the weights: wide posteriors are low everywhere.
        self._constant = (mu**2 * precision + log_var).sum(1)  # [n]

    def weights(
        self, codes: Float[Tensor, "m d"], *, leave_out: Int[Tensor, " m"] | None = None
    ) -> Float[Tensor, "m n"]:
        """How likely each picture is to have sent each code; every row sums to 1.

        Args:
            codes: where to decode.
            leave_out: for each code the index of a picture that gets no weight.
        """
        check_codes(codes, self.latent_dim)
        z = codes.double()
        # log q(z | x_i) of a diagonal Gaussian, its square multiplied out; + d/2 log 2π cancels
        log_q = z @ self._linear.T - 0.5 * (z**2 @ self._quadratic.T + self._constant)  # [m, n]
        if leave_out is not None:
            log_q[torch.arange(len(z)), leave_out] = -torch.inf
        weights = torch.softmax(log_q, dim=1).to(self.images.dtype)
        # Subnormal numbers add nothing to a mean, and make a product with them ten times as slow.
        return weights.where(weights >= torch.finfo(weights.dtype).tiny, 0)

    def decode(
        self,
        codes: Float[Tensor, "m d"],
        *,
        leave_out: Int[Tensor, " m"] | None = None,
        batch_size: int = 250,
    ) -> Float[Tensor, "m c h w"]:
        """The mean picture of all that could have sent each code.

        Args:
            codes: where to decode.
            leave_out: for each code the index of a picture to do without. With the picture that a
                code was drawn from, that gives a bound for pictures that were never seen.
            batch_size: codes at a time; ``batch_size · n`` weights are held at once.

        Raises:
            ValueError: if the codes have the wrong width, or ``leave_out`` another length.
        """
        check_codes(codes, self.latent_dim)
        check_count("batch_size", batch_size)
        if leave_out is not None and leave_out.shape != codes.shape[:1]:
            raise ValueError(
                f"leave_out has shape {tuple(leave_out.shape)} for {len(codes)} codes; expected "
                "one index for each code."
            )
        flat = self.images.flatten(1)
        parts = []
        for start in range(0, len(codes), batch_size):
            rows = slice(start, start + batch_size)
            left_out = None if leave_out is None else leave_out[rows]
            parts.append(self.weights(codes[rows], leave_out=left_out) @ flat)
        # A mean of numbers in [0, 1] lies there; rounding may leave it by 1e-7.
        return torch.cat(parts).clamp(0, 1).unflatten(1, self.images.shape[1:])
