"""Mistakes of chapters 01 to 06."""

from tests.mistakes.planting import Body, Mistake

GAUSSIAN = "vaebook/distributions/gaussian.py"
DIVERGENCES = "vaebook/distributions/divergences.py"
LIKELIHOODS = "vaebook/distributions/likelihoods.py"
VAE = "vaebook/models/vae.py"
LIKELIHOOD_METRICS = "vaebook/metrics/likelihood/bounds.py"
LATENT_METRICS = "vaebook/metrics/latent/posteriors.py"

KL = (
    Mistake(
        "kl-averaged-over-latents",
        "Take the mean of the KL over the latent dimensions: the rate is weighed 1/d too low.",
        DIVERGENCES,
        Body("gaussian_kl"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        return 0.5 * (mu**2 + torch.expm1(log_var) - log_var).mean(-1)
        """,
        ("tests/vaebook/distributions/test_divergences.py::test_the_closed_form_is_that_of_torch",),
    ),
    Mistake(
        "kl-summed-over-the-batch",
        "Sum the KL over everything at once, so that it grows with the batch size.",
        DIVERGENCES,
        Body("gaussian_kl"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        return 0.5 * (mu**2 + torch.expm1(log_var) - log_var).sum()
        """,
        ("tests/vaebook/distributions/test_divergences.py::test_the_closed_form_in_numpy",),
    ),
    Mistake(
        "kl-without-half",
        "Lose the ½ in front of the closed form: β = 2 in disguise.",
        DIVERGENCES,
        Body("gaussian_kl"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        return (mu**2 + torch.expm1(log_var) - log_var).sum(-1)
        """,
        (
            "tests/vaebook/distributions/test_divergences.py::test_gradients_are_those_derived_in_the_book",
        ),
    ),
    Mistake(
        "kl-sign-of-log-var",
        "Write + log σ² in the KL: the loss now pays for variances to vanish.",
        DIVERGENCES,
        Body("gaussian_kl"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        return 0.5 * (mu**2 + torch.expm1(log_var) + log_var).sum(-1)
        """,
        (
            "tests/vaebook/distributions/test_divergences.py::test_it_is_never_negative_and_adds_up_over_dimensions",
        ),
    ),
    Mistake(
        "kl-without-minus-one",
        "Drop the −1, since it has no gradient: the rate is off by d/2 nats.",
        DIVERGENCES,
        Body("gaussian_kl"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        return 0.5 * (mu**2 + torch.exp(log_var) - log_var).sum(-1)
        """,
        (
            "tests/vaebook/distributions/test_divergences.py::test_it_vanishes_at_the_prior_only_and_its_gradient_there_too",
        ),
    ),
    Mistake(
        "kl-sigma-for-variance",
        "Put σ where the closed form has σ².",
        DIVERGENCES,
        Body("gaussian_kl"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        return 0.5 * (mu**2 + torch.expm1(0.5 * log_var) - log_var).sum(-1)
        """,
        ("tests/vaebook/distributions/test_divergences.py::test_the_closed_form_is_the_integral",),
    ),
    Mistake(
        "kl-in-the-other-direction",
        "Swap the arguments: KL(p ‖ q) for KL(q ‖ p).",
        DIVERGENCES,
        Body("_kl_diagonal_diagonal"),
        "return gaussian_kl_diagonal(p.mu, p.log_var, q.mu, q.log_var)",
        (
            "tests/vaebook/distributions/test_divergences.py::test_torchs_kl_divergence_knows_our_gaussians",
        ),
    ),
    Mistake(
        "kl-variance-for-scale",
        "Hand the variances of the prior to a function that wants a Cholesky factor.",
        DIVERGENCES,
        Body("_kl_full_diagonal"),
        """
        return gaussian_kl_full(q.loc, q.scale_tril, p.mu, torch.diag_embed(p.variance))
        """,
        ("tests/vaebook/models/test_vae.py::test_the_rate_is_measured_against_the_prior_given",),
    ),
    Mistake(
        "kl-to-the-wrong-prior",
        "Keep the closed form to N(0, I) when the model was given another prior.",
        VAE,
        "if self.has_standard_prior and isinstance(posterior, DiagonalGaussian):",
        "if isinstance(posterior, DiagonalGaussian):",
        ("tests/vaebook/models/test_vae.py::test_the_rate_is_measured_against_the_prior_given",),
    ),
    Mistake(
        "monte-carlo-kl-under-p",
        "Estimate KL(q ‖ p) from samples of p.",
        DIVERGENCES,
        Body("monte_carlo_kl"),
        """
        check_count("num_samples", num_samples, minimum=2)
        _check_events(q, p)
        z = p.sample((num_samples, *q.batch_shape))
        log_ratio = q.log_prob(z) - p.log_prob(z)
        return MonteCarlo(log_ratio.mean(0), log_ratio.std(0) / num_samples**0.5)
        """,
        (
            "tests/vaebook/distributions/test_divergences.py::test_monte_carlo_finds_the_closed_form",
        ),
    ),
)

SAMPLING = (
    Mistake(
        "exp-log-var-as-standard-deviation",
        "Forget to halve log σ² before the exponential: the noise has deviation σ².",
        GAUSSIAN,
        Body("reparameterise"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        if noise is None:
            noise = torch.randn_like(mu)
        check_same_shape(mu=mu, noise=noise)
        std = torch.exp(log_var)
        return mu + std * noise
        """,
        (
            "tests/vaebook/distributions/test_gaussian.py::test_reparameterise_shifts_and_scales_the_noise",
        ),
    ),
    Mistake(
        "std-property-is-the-variance",
        "The same slip in the distribution's std.",
        GAUSSIAN,
        Body("DiagonalGaussian.std"),
        "return torch.exp(self.log_var)",
        ("tests/vaebook/distributions/test_gaussian.py::test_it_is_the_gaussian_of_torch",),
    ),
    Mistake(
        "one-noise-for-all-images",
        "Draw one vector of noise and let broadcasting add it to the whole batch.",
        GAUSSIAN,
        Body("reparameterise"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        if noise is None:
            noise = torch.randn_like(mu[(0,) * (mu.ndim - 1)])
        check_same_shape(mu=mu, noise=noise)
        std = torch.exp(0.5 * log_var)
        return mu + std * noise
        """,
        (
            "tests/vaebook/distributions/test_gaussian.py::test_every_dimension_and_every_example_has_noise_of_its_own",
            "tests/vaebook/models/test_vae.py::test_each_image_and_each_sample_has_noise_of_its_own",
        ),
    ),
    Mistake(
        "one-noise-for-all-dimensions",
        "Draw one number per image and let broadcasting add it to every dimension.",
        GAUSSIAN,
        Body("reparameterise"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        if noise is None:
            noise = torch.randn_like(mu[..., :1])
        check_same_shape(mu=mu, noise=noise)
        std = torch.exp(0.5 * log_var)
        return mu + std * noise
        """,
        (
            "tests/vaebook/distributions/test_gaussian.py::test_every_dimension_and_every_example_has_noise_of_its_own",
        ),
    ),
    Mistake(
        "uniform-noise",
        "torch.rand for torch.randn.",
        GAUSSIAN,
        Body("reparameterise"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        if noise is None:
            noise = torch.rand_like(mu)
        check_same_shape(mu=mu, noise=noise)
        std = torch.exp(0.5 * log_var)
        return mu + std * noise
        """,
        ("tests/vaebook/distributions/test_gaussian.py::test_samples_follow_the_density",),
    ),
    Mistake(
        "no-noise-but-sigma",
        "Add σ itself in place of σ times noise.",
        GAUSSIAN,
        Body("reparameterise"),
        """
        check_same_shape(mu=mu, log_var=log_var)
        if noise is None:
            noise = torch.randn_like(mu)
        check_same_shape(mu=mu, noise=noise)
        std = torch.exp(0.5 * log_var)
        return mu + std + 0 * noise
        """,
        ("tests/vaebook/distributions/test_gaussian.py::test_samples_follow_the_density",),
    ),
    Mistake(
        "evaluated-at-the-mean",
        "Compute the ELBO at z = μ, which is no bound of anything.",
        VAE,
        "codes = posterior.rsample((num_samples,))  # [s, n, d]",
        "codes = posterior.mean.unsqueeze(0)",
        (
            "tests/vaebook/models/test_vae.py::test_the_distortion_is_that_of_samples_not_of_the_mean",
        ),
    ),
    Mistake(
        "evaluated-at-the-mean-after-training",
        "Sample in training mode only: the reported ELBO is too good.",
        VAE,
        "        if self.sample_codes:\n",
        "        if self.sample_codes and self.training:\n",
        ("tests/vaebook/models/test_vae.py::test_training_and_evaluation_mode_are_the_same_model",),
    ),
    Mistake(
        "detached-sample",
        "sample for rsample: the reconstruction sends no gradient to the encoder.",
        VAE,
        "codes = posterior.rsample((num_samples,))  # [s, n, d]",
        "codes = posterior.sample((num_samples,))  # [s, n, d]",
        (
            "tests/vaebook/models/test_vae.py::test_the_distortion_has_a_gradient_by_the_log_variance",
        ),
    ),
    Mistake(
        "score-function-without-stop-gradient",
        "Weigh the score by log p(x | z) with its gradient: the decoder learns from it too.",
        "vaebook/experiments/ch05_reparameterisation/gradient_training.py",
        "value = log_likelihood.detach()",
        "value = log_likelihood",
        (
            "tests/vaebook/experiments/test_gradient_chapter.py::"
            "test_the_score_function_model_trains_its_decoder_like_any_other",
        ),
    ),
    Mistake(
        "codes-averaged-before-decoding",
        "Average the sampled codes, then decode once: more samples bring z back to μ.",
        VAE,
        "distortion = -self.likelihood_of(codes).log_prob(images.to(codes.device)).mean(0)",
        "distortion = -self.likelihood_of(codes.mean(0)).log_prob(images.to(codes.device))",
        ("tests/vaebook/models/test_vae.py::test_more_samples_average_the_log_likelihoods",),
    ),
    Mistake(
        "encode-returns-a-sample",
        "Return a sample where the mean is promised: codes jitter from call to call.",
        VAE,
        Body("VAE.encode"),
        "return self.posterior(images).rsample()",
        ("tests/vaebook/models/test_vae.py::test_encode_decode_reconstruct",),
    ),
    Mistake(
        "samples-ignore-the-prior",
        "Generate from N(0, I) whatever the prior.",
        VAE,
        Body("VAE.sample"),
        """
        codes = torch.randn_like(self._draw(self.prior, num_images, seed))
        return self.decode_all(codes)
        """,
        ("tests/vaebook/models/test_vae.py::test_samples_are_decoded_codes_of_the_prior",),
    ),
)

LIKELIHOOD = (
    Mistake(
        "mean-over-pixels",
        "Average the squared error over pixels: the KL is weighed D times too high.",
        LIKELIHOODS,
        Body("GaussianImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        num_pixels = math.prod(self.event_shape)
        squared_error = ((value - self._mean) ** 2).mean(IMAGE_DIMS)
        log_normaliser = num_pixels * (self.log_sigma + 0.5 * LOG_TWO_PI)
        return -0.5 * squared_error * torch.exp(-2 * self.log_sigma) - log_normaliser
        """,
        ("tests/vaebook/distributions/test_likelihoods.py::test_one_number_of_nats_per_image",),
    ),
    Mistake(
        "cross-entropy-mean-over-pixels",
        "The same with binary cross-entropy.",
        LIKELIHOODS,
        Body("BernoulliImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        _check_binary(value)
        logits, target = torch.broadcast_tensors(self.base_dist.logits, value)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return -cross_entropy.mean(IMAGE_DIMS)
        """,
        (
            "tests/vaebook/distributions/test_likelihoods.py::test_bernoulli_is_that_of_torch_and_numpy",
        ),
    ),
    Mistake(
        "likelihood-summed-over-the-batch",
        "Sum the cross-entropy over pixels and images, then call it one image's.",
        LIKELIHOODS,
        Body("BernoulliImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        _check_binary(value)
        logits, target = torch.broadcast_tensors(self.base_dist.logits, value)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return -cross_entropy.sum()
        """,
        ("tests/vaebook/distributions/test_likelihoods.py::test_one_number_of_nats_per_image",),
    ),
    Mistake(
        "normaliser-dropped",
        "Leave out log σ + ½ log 2π: what remains is no log-density, and σ cannot be learned.",
        LIKELIHOODS,
        Body("GaussianImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        num_pixels = math.prod(self.event_shape)
        squared_error = ((value - self._mean) ** 2).sum(IMAGE_DIMS)
        log_normaliser = num_pixels * (self.log_sigma + 0.5 * LOG_TWO_PI)
        return -0.5 * squared_error * torch.exp(-2 * self.log_sigma)
        """,
        (
            "tests/vaebook/distributions/test_likelihoods.py::test_the_gaussian_density_integrates_to_one",
        ),
    ),
    Mistake(
        "log-sigma-counted-once",
        "Subtract log σ once per image, not once per pixel.",
        LIKELIHOODS,
        Body("GaussianImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        num_pixels = math.prod(self.event_shape)
        squared_error = ((value - self._mean) ** 2).sum(IMAGE_DIMS)
        log_normaliser = self.log_sigma + num_pixels * 0.5 * LOG_TWO_PI
        return -0.5 * squared_error * torch.exp(-2 * self.log_sigma) - log_normaliser
        """,
        (
            "tests/vaebook/distributions/test_likelihoods.py::"
            "test_the_learned_sigma_is_best_at_the_root_mean_squared_error",
        ),
    ),
    Mistake(
        "pixel-sigma-for-variance",
        "Divide the squared error by σ, not by σ².",
        LIKELIHOODS,
        Body("GaussianImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        num_pixels = math.prod(self.event_shape)
        squared_error = ((value - self._mean) ** 2).sum(IMAGE_DIMS)
        log_normaliser = num_pixels * (self.log_sigma + 0.5 * LOG_TWO_PI)
        return -0.5 * squared_error * torch.exp(-self.log_sigma) - log_normaliser
        """,
        (
            "tests/vaebook/distributions/test_likelihoods.py::test_gaussian_is_that_of_torch_and_scipy",
        ),
    ),
    Mistake(
        "squared-error-without-half",
        "Divide the squared error by σ², not by 2 σ².",
        LIKELIHOODS,
        Body("GaussianImage.log_prob"),
        """
        _check_image_shape(value, self.event_shape)
        num_pixels = math.prod(self.event_shape)
        squared_error = ((value - self._mean) ** 2).sum(IMAGE_DIMS)
        log_normaliser = num_pixels * (self.log_sigma + 0.5 * LOG_TWO_PI)
        return -squared_error * torch.exp(-2 * self.log_sigma) - log_normaliser
        """,
        (
            "tests/vaebook/distributions/test_likelihoods.py::"
            "test_the_weight_of_the_squared_error_is_one_over_two_sigma_squared",
        ),
    ),
    Mistake(
        "latent-sigma-for-variance",
        "Divide by σ, not by σ², in the log-density of a code.",
        GAUSSIAN,
        Body("DiagonalGaussian.log_prob"),
        """
        check_event(value, self.event_shape, ", one vector for each density")
        squared = (value - self.mu) ** 2 * torch.exp(-0.5 * self.log_var)
        return -0.5 * (squared + self.log_var + LOG_TWO_PI).sum(-1)
        """,
        (
            "tests/vaebook/distributions/test_gaussian.py::test_log_prob_is_the_sum_of_scipys_densities",
        ),
    ),
    Mistake(
        "cross-entropy-on-grey-pixels",
        "Accept grey pixels under a Bernoulli, as most tutorials do: no likelihood of anything.",
        LIKELIHOODS,
        "if not ((images == 0) | (images == 1)).all():",
        "if not ((images >= 0) & (images <= 1)).all():",
        ("tests/vaebook/distributions/test_likelihoods.py::test_bernoulli_refuses_grey_pixels",),
    ),
    Mistake(
        "sigmoid-twice",
        "Hand probabilities to a loss that wants logits.",
        LIKELIHOODS,
        Body("BernoulliLikelihood.forward"),
        """
        base = Bernoulli(logits=torch.sigmoid(output), validate_args=False)
        return BernoulliImage(base, 3, validate_args=False)
        """,
        (
            "tests/vaebook/distributions/test_likelihoods.py::test_bernoulli_is_that_of_torch_and_numpy",
        ),
    ),
    Mistake(
        "tails-of-the-logistic-forgotten",
        "Treat black like any grey level: the mass below 0 is lost.",
        LIKELIHOODS,
        "log_mass = torch.where(value < half, -F.softplus(-upper), inside)",
        "log_mass = inside",
        (
            "tests/vaebook/distributions/test_likelihoods.py::test_probabilities_of_all_grey_levels_sum_to_one",
        ),
    ),
)

BOUND = (
    Mistake(
        "rate-added-to-the-elbo",
        "The sign of the KL: the ELBO as −distortion + rate.",
        VAE,
        "return Elbo(-(distortion + rate), distortion, rate)",
        "return Elbo(-distortion + rate, distortion, rate)",
        ("tests/vaebook/models/test_vae.py::test_the_terms_are_per_image_and_add_up",),
    ),
    Mistake(
        "beta-on-the-distortion",
        "Weigh the wrong term with β.",
        VAE,
        Body("VAE.loss"),
        """
        terms = self.elbo(images)
        rate = self.free_rate(images) if self.free_bits else terms.rate
        return self.beta * terms.distortion + rate
        """,
        ("tests/vaebook/models/test_vae.py::test_the_terms_are_per_image_and_add_up",),
    ),
    Mistake(
        "rate-weighed-in-the-reported-bound",
        "Report distortion + β · rate as the negative ELBO: no bound any more where β is below 1.",
        VAE,
        "return Elbo(-(distortion + rate), distortion, rate)",
        "return Elbo(-(distortion + self.beta * rate), distortion, rate)",
        ("tests/vaebook/metrics/likelihood/test_bounds.py::test_the_bound_does_not_know_beta",),
    ),
    Mistake(
        "mean-of-log-weights",
        "Average the logarithms of the importance weights: the ELBO again, however large K.",
        LIKELIHOOD_METRICS,
        Body("importance_weighted_nll.measure"),
        """
        posterior = model.posterior(batch)
        codes = posterior.sample((num_samples,))  # [k, n, d]
        log_joint = log_likelihood(model, codes, batch) + log_prior(model, codes)
        log_weights = log_joint - posterior.log_prob(codes)  # [k, n]
        return (-log_weights.mean(0),)
        """,
        ("tests/vaebook/metrics/likelihood/test_bounds.py::test_it_in_scipy",),
    ),
    Mistake(
        "log-k-forgotten",
        "Leave out log K: every doubling of K improves the result by 0.69 nats.",
        LIKELIHOOD_METRICS,
        Body("importance_weighted_nll.measure"),
        """
        posterior = model.posterior(batch)
        codes = posterior.sample((num_samples,))  # [k, n, d]
        log_joint = log_likelihood(model, codes, batch) + log_prior(model, codes)
        log_weights = log_joint - posterior.log_prob(codes)  # [k, n]
        return (-torch.logsumexp(log_weights, 0),)
        """,
        (
            "tests/vaebook/metrics/likelihood/test_bounds.py::test_it_is_exact_at_the_true_posterior",
        ),
    ),
    Mistake(
        "sign-of-log-q",
        "Multiply the importance weight by q instead of dividing by it.",
        LIKELIHOOD_METRICS,
        Body("importance_weighted_nll.measure"),
        """
        posterior = model.posterior(batch)
        codes = posterior.sample((num_samples,))  # [k, n, d]
        log_joint = log_likelihood(model, codes, batch) + log_prior(model, codes)
        log_weights = log_joint + posterior.log_prob(codes)  # [k, n]
        return (math.log(num_samples) - torch.logsumexp(log_weights, 0),)
        """,
        (
            "tests/vaebook/metrics/likelihood/test_bounds.py::test_it_is_exact_at_the_true_posterior",
        ),
    ),
    Mistake(
        "prior-missing-from-the-weight",
        "Weigh p(x | z) / q(z | x): the prior's density is forgotten.",
        LIKELIHOOD_METRICS,
        Body("importance_weighted_nll.measure"),
        """
        posterior = model.posterior(batch)
        codes = posterior.sample((num_samples,))  # [k, n, d]
        log_joint = log_likelihood(model, codes, batch)
        log_weights = log_joint - posterior.log_prob(codes)  # [k, n]
        return (math.log(num_samples) - torch.logsumexp(log_weights, 0),)
        """,
        (
            "tests/vaebook/metrics/likelihood/test_bounds.py::test_it_is_exact_at_the_true_posterior",
        ),
    ),
    Mistake(
        "naive-monte-carlo-without-log-k",
        "Sum p(x | z) over codes from the prior without dividing by their number.",
        LIKELIHOOD_METRICS,
        "return torch.logsumexp(parts, 0) - math.log(num_samples)",
        "return torch.logsumexp(parts, 0)",
        ("tests/vaebook/metrics/likelihood/test_bounds.py::test_naive_monte_carlo_in_scipy",),
    ),
)

DATA = (
    Mistake(
        "validation-split-inside-training",
        "Cut the validation images out of the training images, and leave them there too.",
        "vaebook/data/fashion.py",
        "Split(_as_images(train_images[:cut]), _as_labels(train_labels[:cut])),",
        "Split(_as_images(train_images), _as_labels(train_labels)),",
        ("tests/vaebook/data/test_data.py::test_a_folder_of_ones_own",),
    ),
    Mistake(
        "labels-not-shuffled-with-the-images",
        "Shuffle the images and not the labels.",
        "vaebook/data/digits.py",
        "Split(images[part].contiguous(), labels[part]) for part in order.split",
        "Split(images[part].contiguous(), labels[: len(part)]) for part in order.split",
        ("tests/vaebook/data/test_data.py::test_digits_are_scikit_learns_with_their_labels",),
    ),
    Mistake(
        "dogs-that-look-the-other-way",
        "Turn the dogs against their facing: left for right, in every picture alike.",
        "vaebook/data/_dog_skeleton.py",
        "along, across = torch.sin(turn), torch.cos(turn)",
        "along, across = torch.sin(-turn), torch.cos(turn)",
        (
            "tests/vaebook/data/test_dogs.py::"
            "test_a_dog_looks_where_its_facing_says_and_stands_on_its_feet",
        ),
    ),
    Mistake(
        "pictures-flipped-and-not-their-factors",
        "Mirror the pictures, as one does to have more of them, and keep the factors.",
        "vaebook/data/dogs.py",
        Body("_draw"),
        """
        drawn = []
        for stream, count in enumerate(counts):
            factors = sample_factors(count, seed=3 * seed + stream)
            with torch.no_grad():
                drawn.append((render(factors, size=size).flip(3), factors))
        return drawn
        """,
        (
            "tests/vaebook/data/test_dogs.py::test_every_picture_is_drawn_from_the_factors_beside_it",
        ),
    ),
    Mistake(
        "bytes-not-divided",
        "Accept pixels from 0 to 255 where the model takes 0 to 1.",
        "vaebook/_checks.py",
        "if not (low >= 0.0 and high <= 1.0):",
        "if not (low >= 0.0 and high <= 255.0):",
        ("tests/vaebook/training/test_checks.py::test_images",),
    ),
)

MEASURES = (
    Mistake(
        "aggregate-posterior-of-means-only",
        "Take the covariance of the posterior means for that of the aggregate posterior.",
        LATENT_METRICS,
        "covariance_of_means + torch.diag(mean_of_variances),",
        "covariance_of_means,",
        (
            "tests/vaebook/metrics/latent/test_posteriors.py::"
            "test_the_aggregate_posterior_has_the_moments_of_its_samples",
        ),
    ),
    Mistake(
        "deviations-averaged-for-variances",
        "Average σ and square the result, where the law of total variance averages σ².",
        LATENT_METRICS,
        "mean_of_variances = posterior.variance.mean(0)",
        "mean_of_variances = posterior.std.mean(0) ** 2",
        ("tests/vaebook/metrics/latent/test_posteriors.py::test_the_moments_in_numpy",),
    ),
    Mistake(
        "active-units-by-deviation",
        "Hold the standard deviation of the means against a threshold meant for their variance.",
        LATENT_METRICS,
        Body("active_units"),
        """
        check_real("threshold", threshold)
        images = images_of(model, images)
        if len(images) < 2:
            raise ValueError(f"images: {len(images)} images have no variance; expected at least 2.")
        return posterior_parameters(model, images).mu.std(0) > threshold
        """,
        (
            "tests/vaebook/metrics/latent/test_posteriors.py::test_active_units_are_those_whose_mean_moves",
        ),
    ),
    Mistake(
        "sharpness-of-signed-differences",
        "Average differences without squaring them: edges up and edges down cancel.",
        "vaebook/metrics/samples/sharpness.py",
        Body("gradient_energy"),
        """
        values = as_pixels("values", values)
        _check_size("values", values)
        down = (values[..., 1:, :] - values[..., :-1, :]) ** 2
        right = values[..., :, 1:] - values[..., :, :-1]
        return down.mean((-3, -2, -1)) + right.mean((-3, -2, -1))
        """,
        ("tests/vaebook/metrics/samples/test_sharpness.py::test_known_images",),
    ),
    Mistake(
        "sharpness-of-the-mean-image",
        "Measure the average of the images, which is blurred, for the average of their measures.",
        "vaebook/metrics/samples/sharpness.py",
        Body("sharpness"),
        """
        images = as_images("images", images)
        _check_size("images", images)
        return gradient_energy(images.mean(0, keepdim=True))
        """,
        ("tests/vaebook/metrics/samples/test_sharpness.py::test_it_in_numpy_with_colours",),
    ),
)

HARMLESS = Mistake(
    "no-change-of-meaning",
    "None, for control: the same sum in another order.",
    GAUSSIAN,
    "return mu + std * noise",
    "return std * noise + mu",
    (
        "tests/vaebook/distributions/test_gaussian.py::test_reparameterise_shifts_and_scales_the_noise",
        "tests/vaebook/distributions/test_gaussian.py::test_samples_follow_the_density",
    ),
)

CLASSICS = (*KL, *SAMPLING, *LIKELIHOOD, *BOUND, *DATA, *MEASURES)
