"""Mistakes about what the loss means (chapter 07)."""

from tests.mistakes.planting import Body, Mistake

CONVENTIONS = "vaebook/distributions/loss_conventions.py"
GREY = "vaebook/distributions/grey_pixels.py"

LOSSES: tuple[Mistake, ...] = (
    Mistake(
        "mean-over-pixels-without-channels",
        "Count height × width for the mean of a colour picture and forget the channels.",
        CONVENTIONS,
        "pixel_weight /= math.prod(image_shape)",
        "pixel_weight /= math.prod(image_shape[1:])",
        (
            "tests/vaebook/distributions/test_loss_conventions.py::test_the_numbers_that_people_ask_about",
        ),
    ),
    Mistake(
        "sigma-squared-for-two-sigma-squared",
        "Take the weight of the squared error for 1/σ²: the implied σ is √2 too large.",
        CONVENTIONS,
        Body("LossTranslation.sigma"),
        """
        ratio = self.kl_weight / self.pixel_weight
        return math.sqrt(ratio / 4 if self.reconstruction == "cross-entropy" else ratio)
        """,
        (
            "tests/vaebook/distributions/test_loss_conventions.py::test_the_loss_as_written_is_that_of_its_translation",
        ),
    ),
    Mistake(
        "half-the-wrong-way-round",
        "Double the weight of half the squared error.",
        CONVENTIONS,
        "pixel_weight /= 2",
        "pixel_weight *= 2",
        (
            "tests/vaebook/distributions/test_loss_conventions.py::test_the_numbers_that_people_ask_about",
        ),
    ),
    Mistake(
        "mean-over-latents-ignored",
        "Take a mean over the latent dimensions for a sum.",
        CONVENTIONS,
        "kl_weight /= latent_dim",
        "kl_weight /= 1",
        (
            "tests/vaebook/distributions/test_loss_conventions.py::test_the_loss_as_written_is_that_of_its_translation",
        ),
    ),
    Mistake(
        "n-over-batch-for-batch-over-n",
        "Turn the batch factor of the KL upside down.",
        CONVENTIONS,
        Body("LossConvention.kl_weight_for"),
        """
        pixels = math.prod(image_shape)
        named = {"batch/N": num_images / batch_size, "1/M": 1 / pixels}
        return named[self.kl_weight] if isinstance(self.kl_weight, str) else self.kl_weight
        """,
        (
            "tests/vaebook/distributions/test_loss_conventions.py::test_the_written_loss_in_plain_functions",
        ),
    ),
    Mistake(
        "beta-without-sigma",
        "Quote β as the ratio of the weights, whatever σ is.",
        CONVENTIONS,
        Body("LossTranslation.beta_at"),
        """
        check_positive("sigma", sigma)
        ratio = self.kl_weight / self.pixel_weight
        return ratio if self.reconstruction == "cross-entropy" else ratio / 2
        """,
        (
            "tests/vaebook/distributions/test_loss_conventions.py::test_sigma_and_beta_are_known_jointly_only",
        ),
    ),
    Mistake(
        "sigma-set-to-the-mse",
        "Set σ, and not σ², to the mean squared error.",
        GREY,
        Body("optimal_sigma"),
        """
        check_images(images)
        check_same_shape(images=images, means=means)
        squares = (images - means).square()
        return squares.mean(0) if per_pixel else squares.mean()
        """,
        (
            "tests/vaebook/distributions/test_grey_pixels.py::test_the_best_sigma_is_the_minimum_of_the_distortion",
        ),
    ),
    Mistake(
        "sigma-of-the-summed-error",
        "Set σ² to the error summed over a picture: σ is √M too large.",
        GREY,
        Body("optimal_sigma"),
        """
        check_images(images)
        check_same_shape(images=images, means=means)
        squares = (images - means).square()
        return (squares.mean(0) if per_pixel else squares.sum((1, 2, 3)).mean()).sqrt()
        """,
        (
            "tests/vaebook/distributions/test_grey_pixels.py::test_the_best_sigma_is_the_minimum_of_the_distortion",
        ),
    ),
    Mistake(
        "continuous-bernoulli-without-its-constant",
        "Use the cross-entropy of grey pixels as if it were a log-density.",
        GREY,
        Body("ContinuousBernoulliLikelihood.forward"),
        """
        base = torch.distributions.Bernoulli(logits=output, validate_args=False)
        return IndependentPixels(base, 3, validate_args=False)
        """,
        ("tests/vaebook/distributions/test_grey_pixels.py::test_the_constant_makes_it_a_density",),
    ),
    Mistake(
        "predicted-sigma-without-a-floor",
        "Let a decoder claim any σ: a pixel that is hit exactly sends the loss to −∞.",
        GREY,
        Body("PredictedGaussianLikelihood.forward"),
        """
        logits, spread = output.chunk(2, dim=-3)
        sigma = self.initial_sigma * torch.exp(spread)
        return _gaussian_pixels(torch.sigmoid(logits), sigma)
        """,
        ("tests/vaebook/distributions/test_grey_pixels.py::test_no_sigma_falls_below_the_floor",),
    ),
    Mistake(
        "predicted-log-variance-for-log-sigma",
        "Halve the decoder's second output once too often.",
        GREY,
        Body("PredictedGaussianLikelihood.forward"),
        """
        logits, spread = output.chunk(2, dim=-3)
        sigma = self.initial_sigma * torch.exp(0.5 * spread)
        return _gaussian_pixels(torch.sigmoid(logits), sigma.clamp(min=self.floor))
        """,
        (
            "tests/vaebook/distributions/test_grey_pixels.py::test_a_predicted_sigma_is_used_at_its_pixel",
        ),
    ),
    Mistake(
        "mass-beyond-white-is-lost",
        "Integrate the brightest level over one step, and lose what lies beyond 1.",
        GREY,
        "upper = torch.where(value > 1 - half, torch.inf, value + half)",
        "upper = value + half",
        (
            "tests/vaebook/distributions/test_grey_pixels.py::test_the_levels_of_a_pixel_add_up_to_one",
        ),
    ),
    Mistake(
        "code-length-averaged-over-pixels",
        "Take the mean over pixels of the levels' log-probability for the picture's.",
        GREY,
        "return _log_mass(base, lower, upper, value).sum(IMAGE_DIMS)",
        "return _log_mass(base, lower, upper, value).mean(IMAGE_DIMS)",
        ("tests/vaebook/distributions/test_grey_pixels.py::test_levels_in_scipy",),
    ),
    Mistake(
        "nats-called-bits",
        "Divide by the number of pixels only, and call the nats bits.",
        "vaebook/experiments/ch07_scaling/pixel_likelihoods.py",
        "/ (images[0].numel() * math.log(2))",
        "/ images[0].numel()",
        ("tests/vaebook/experiments/test_loss_experiments.py::test_a_likelihood_gives_its_row",),
    ),
)
