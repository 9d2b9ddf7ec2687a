"""The conditional VAE: pictures given something that is known of them (chapter 13)."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vaebook._checks import (
    ImageShape,
    check_choice,
    check_count,
    check_images,
    check_weight,
    how_to_convert,
    values_are_checked,
)
from vaebook.distributions import DiagonalGaussian, Likelihood, gaussian_kl, gaussian_kl_diagonal
from vaebook.distributions.likelihoods import as_likelihood
from vaebook.models.latent_variable import LatentVariableModel, evaluating
from vaebook.models.networks import Network, as_network
from vaebook.models.vae import Elbo

Images = Float[Tensor, "n c h w"]
Conditions = Float[Tensor, "n k"]
ConditionalPrior = Literal["fixed", "learned"]


class ConditionalVAE(LatentVariableModel):
    r"""p(z | c) p(x | z, c) with an inference network q(z | x, c).

    The bound is that of a VAE with c behind every bar:

    .. math:: \log p(x \mid c) \ge \mathbb{E}_{q(z \mid x, c)}[\log p(x \mid z, c)]
              - \mathrm{KL}(q(z \mid x, c) \,\|\, p(z \mid c))

    A condition is a row of k numbers in [0, 1]: a one-hot label, known pixels, a mask. Labels may
    also be given as whole numbers ``[n]``, each of which stands for its one-hot row. Train it with
    ``fit(model, (images, conditions), …)``.

    The encoder sees c as one more channel of the picture, painted by a linear map, the decoder as
    more numbers beside z.

    Args:
        image_shape: ``(channels, height, width)``.
        latent_dim: numbers in a code.
        condition_dim: k, numbers in a condition.
        network: plan of encoder and decoder.
        likelihood: p(x | z, c); Gaussian pixels with σ = 0.1 by default.
        prior: ``"fixed"`` is N(0, I) for every c; ``"learned"`` a diagonal Gaussian whose mean and
            variances a network computes from c.
        prior_hidden: width of that network.
        beta: weight of the rate in :meth:`loss`.
        encoder_sees, decoder_sees: whether that side is told the condition. Both by default;
            chapter 13 takes them away to see what they are for.

    Raises:
        ValueError: if a setting is unknown or negative.

    Source:
        Sohn, Lee & Yan (2015).
    """

    def __init__(
        self,
        image_shape: ImageShape,
        latent_dim: int,
        *,
        condition_dim: int,
        network: Network | None = None,
        likelihood: Likelihood | None = None,
        prior: ConditionalPrior = "fixed",
        prior_hidden: int = 256,
        beta: float = 1.0,
        encoder_sees: bool = True,
        decoder_sees: bool = True,
    ) -> None:
        super().__init__(image_shape, latent_dim)
        check_count("condition_dim", condition_dim)
        check_choice("prior", prior, get_args(ConditionalPrior))
        check_weight("beta", beta)
        check_count("prior_hidden", prior_hidden)
        self.condition_dim, self.beta = condition_dim, beta
        self.encoder_sees, self.decoder_sees = encoder_sees, decoder_sees
        plan = as_network(network)
        channels, height, width = self.image_shape
        seen = (channels + encoder_sees, height, width)
        self.paint = nn.Linear(condition_dim, height * width) if encoder_sees else None
        self.encoder = plan.encoder(seen, 2 * latent_dim)
        self.likelihood = as_likelihood(likelihood)
        outputs = self.likelihood.output_shape(self.image_shape)
        self.decoder = plan.decoder(latent_dim + decoder_sees * condition_dim, outputs)
        self.prior_network = None
        if prior == "learned":
            hidden = nn.Linear(condition_dim, prior_hidden)
            last = nn.Linear(prior_hidden, 2 * latent_dim)
            self.prior_network = nn.Sequential(hidden, nn.ReLU(), last)

    def check(self, images: Images, conditions: Conditions | None = None) -> None:
        """Raise a ``ValueError`` for images or conditions that :meth:`loss` cannot take."""
        super().check(images)
        self._conditions(conditions, len(images))

    def _conditions(self, given: Tensor | None, num_rows: int | None = None) -> Conditions:
        """Conditions ``[n, k]`` that fit the model, moved to it; labels ``[n]`` as one-hot rows."""
        expected = f"expected [n, {self.condition_dim}], a row for each image, or labels [n]"
        if not isinstance(given, Tensor):
            raise ValueError(
                f"conditions is a {type(given).__name__}; {expected} in a tensor. "
                f"{how_to_convert(given)}"
            )
        if given.is_complex():
            raise ValueError(f"conditions have dtype {given.dtype}; {expected}.")
        if given.dtype in (torch.uint16, torch.uint32, torch.uint64):
            given = given.to(torch.int64)  # torch can do little with these
        whole = not given.is_floating_point()
        is_label = whole and given.ndim == 1
        if not is_label and (given.ndim != 2 or given.shape[1] != self.condition_dim):
            raise ValueError(
                f"conditions have shape {tuple(given.shape)}; {expected}, as whole numbers from 0 "
                f"to {self.condition_dim - 1}. For one-hot rows use torch.nn.functional.one_hot."
            )
        if num_rows is not None and len(given) != num_rows:
            raise ValueError(
                f"conditions have shape {tuple(given.shape)} for {num_rows} rows; expected one for "
                "each."
            )
        if not values_are_checked() and given.numel():
            low, high = given.detach().aminmax()
            most = self.condition_dim - 1 if is_label else 1
            if not (low >= 0 and high <= most):  # a NaN makes it false
                what, cure = "numbers", "Scale what is measured to [0, 1]."
                if is_label:
                    what, cure = "labels", "Count them from 0; pandas.factorize does."
                raise ValueError(
                    f"conditions lie in [{low.item():.3g}, {high.item():.3g}]; expected {what} "
                    f"from 0 to {most}. {cure}"
                )
        given = given.to(self.device)
        if is_label:  # as comparisons: F.one_hot looks at the values
            given = given[:, None] == torch.arange(self.condition_dim, device=self.device)
        return given.to(self.dtype)

    def prior(self, conditions: Conditions) -> DiagonalGaussian:
        """p(z | c), one distribution for each condition."""
        conditions = self._conditions(conditions)
        if self.prior_network is None:
            zeros = conditions.new_zeros(len(conditions), self.latent_dim)
            return DiagonalGaussian(zeros, zeros)
        output = self.prior_network(conditions).to(self.dtype)
        return DiagonalGaussian(*output.chunk(2, dim=1))

    def posterior(self, images: Images, conditions: Conditions) -> DiagonalGaussian:
        """q(z | x, c), one distribution for each image."""
        check_images(images, self.image_shape, dtype=self.dtype)
        conditions, images = self._conditions(conditions, len(images)), images.to(self.device)
        if self.paint is not None:
            painted = self.paint(conditions).reshape(-1, 1, *self.image_shape[1:])
            images = torch.cat([images, painted], 1)
        return DiagonalGaussian(*self.encoder(images).to(self.dtype).chunk(2, dim=1))

    def likelihood_of(
        self, codes: Float[Tensor, "*batch n d"], conditions: Conditions
    ) -> Distribution:
        """p(x | z, c) for each code and its condition, a distribution over images."""
        conditions = self._conditions(conditions, codes.shape[-2])
        told = codes
        if self.decoder_sees:
            told = torch.cat([codes, conditions.expand(*codes.shape[:-1], -1)], -1)
        output = self.decoder(told.reshape(-1, told.shape[-1])).to(self.dtype)
        return self.likelihood(output.reshape(*codes.shape[:-1], *output.shape[1:]))

    def elbo(self, images: Images, conditions: Conditions, *, num_samples: int = 1) -> Elbo:
        """A lower bound of log p(x | c) of each image and its two terms, in nats.

        Args:
            images: floats in [0, 1].
            conditions: a row for each image.
            num_samples: codes drawn for each image.
        """
        check_count("num_samples", num_samples)
        posterior, prior = self.posterior(images, conditions), self.prior(conditions)
        codes = posterior.rsample((num_samples,))  # [s, n, d]
        pixels = self.likelihood_of(codes, conditions)
        distortion = -pixels.log_prob(images.to(codes.device)).mean(0)
        if self.prior_network is None:
            rate = gaussian_kl(posterior.mu, posterior.log_var)
        else:
            rate = gaussian_kl_diagonal(posterior.mu, posterior.log_var, prior.mu, prior.log_var)
        return Elbo(-(distortion + rate), distortion, rate)

    def loss(self, images: Images, conditions: Conditions) -> Float[Tensor, " n"]:
        """distortion + beta · rate in nats, one value per image."""
        terms = self.elbo(images, conditions)
        return terms.distortion + self.beta * terms.rate

    def encode(self, images: Images, conditions: Conditions) -> Float[Tensor, "n d"]:
        """The mean of q(z | x, c) for each image."""
        return self.posterior(images, conditions).mean

    def decode(self, codes: Float[Tensor, "n d"], conditions: Conditions) -> Images:
        """The mean image of p(x | z, c) for each code and its condition."""
        return self.likelihood_of(self._codes(codes), conditions).mean

    def sample(
        self, conditions: Conditions, num_samples: int = 1, *, seed: int | None = None
    ) -> Float[Tensor, "s n c h w"]:
        """New images for given conditions: z from p(z | c), then the mean image of p(x | z, c).

        Args:
            conditions: one for each image that is wanted.
            num_samples: images for each condition; they are decoded in blocks.
            seed: makes the draw repeatable and leaves torch's global generator alone.
        """
        conditions = self._conditions(conditions)
        with torch.no_grad(), evaluating(self):
            prior = self.prior(conditions)
        codes = self._draw(prior, num_samples, seed, "num_samples")  # [s, n, d]
        images = self.decode_all(codes.flatten(0, 1), conditions.repeat(num_samples, 1))
        return images.unflatten(0, codes.shape[:2])
