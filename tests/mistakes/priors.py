"""Mistakes about priors, posteriors and discrete codes (chapter 09)."""

from tests.mistakes.planting import Body, Mistake

GAUSSIAN = "vaebook/distributions/gaussian.py"
FIXED = "vaebook/distributions/fixed_priors.py"
MIXTURE = "vaebook/distributions/mixture.py"
LEARNED = "vaebook/distributions/learned_priors.py"
FLOW = "vaebook/distributions/flow.py"
BETA = "vaebook/distributions/stretched_beta.py"
SPHERE = "vaebook/distributions/spherical.py"
DISCREPANCY = "vaebook/distributions/discrepancy.py"
MADE = "vaebook/distributions/made.py"
FITTED = "vaebook/distributions/density_estimation.py"
POSTERIORS = "vaebook/models/posteriors.py"
CODEBOOK = "vaebook/models/codebook.py"
VAE = "vaebook/models/vae.py"
WAE = "vaebook/models/wae.py"
IMPORTANCE = "vaebook/metrics/likelihood/importance.py"

MIXTURES = (
    Mistake(
        "log-sum-exp-per-dimension",
        "Mix every dimension on its own and add up: the corners between the components fill.",
        MIXTURE,
        Body("Mixture.log_prob"),
        """
        z, c = value.unsqueeze(-2), self.components
        each = torch.distributions.Normal(c.mean, c.variance.sqrt()).log_prob(z)
        return torch.logsumexp(self.log_weights[:, None] + each, -2).sum(-1)
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_a_mixture_is_that_of_torch",
            "tests/vaebook/distributions/test_learned_priors.py::test_a_code_comes_from_one_component_with_all_its_numbers",
            "tests/vaebook/distributions/test_learned_priors.py::test_a_vampprior_is_the_mean_of_posteriors",
        ),
    ),
    Mistake(
        "mean-of-the-log-densities",
        "Take the mean of the components' log-densities: a product of them, not a mixture.",
        MIXTURE,
        Body("Mixture.log_prob"),
        """
        return (self.log_weights.exp() * self.components.log_prob(value.unsqueeze(-2))).sum(-1)
        """,
        ("tests/vaebook/distributions/test_learned_priors.py::test_a_mixture_integrates_to_one",),
    ),
    Mistake(
        "exp-log-var-in-the-priors-sampler",
        "Draw from the prior with exp(log σ²) for σ, while its density is right.",
        GAUSSIAN,
        Body("DiagonalGaussian.rsample"),
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.mu + torch.exp(self.log_var) * torch.randn(shape).to(self.mu)
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_the_sampler_of_a_mixture_follows_its_density",
            "tests/vaebook/distributions/test_learned_priors.py::test_every_sampler_follows_its_density",
        ),
    ),
    Mistake(
        "vampprior-without-log-k",
        "log Σ exp of the posteriors' log-densities, and log K left out: a density of mass K.",
        LEARNED,
        Body("VampPrior.forward"),
        """
        num_components = len(self.free_pseudo_inputs)
        log_weights = self.free_pseudo_inputs.new_full((num_components,), -math.log(num_components))
        mixture = Mixture(log_weights, encode(self.pseudo_inputs))
        mixture.log_weights = torch.zeros_like(log_weights)
        return mixture
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_a_vampprior_is_the_mean_of_posteriors",
            "tests/vaebook/distributions/test_learned_priors.py::test_every_learned_density_integrates_to_one",
        ),
    ),
    Mistake(
        "vampprior-divides-the-log-by-k",
        "Operator precedence: log(Σ exp) / K where log(Σ exp / K) is meant.",
        MIXTURE,
        Body("Mixture.log_prob"),
        """
        log_density = self.components.log_prob(value.unsqueeze(-2))
        return torch.logsumexp(log_density, -1) * self.log_weights.exp().mean()
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_a_vampprior_is_the_mean_of_posteriors",
        ),
    ),
    Mistake(
        "vampprior-without-gradient",
        "Encode detached pseudo-inputs: they stay the pictures they started as.",
        LEARNED,
        Body("VampPrior.forward"),
        """
        num_components = len(self.free_pseudo_inputs)
        log_weights = self.free_pseudo_inputs.new_full((num_components,), -math.log(num_components))
        return Mixture(log_weights, encode(self.pseudo_inputs.detach()))
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_a_prior_has_no_batch_and_a_gradient",
        ),
    ),
    Mistake(
        "samples-of-the-vampprior-from-the-normal",
        "Train with the learned prior, then generate from N(0, I).",
        VAE,
        Body("VAE.sample"),
        """
        codes = torch.randn(num_images, self.latent_dim)
        return self.decode_all(codes)
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_a_vae_trains_saves_and_samples_its_own_prior",
            "tests/vaebook/distributions/test_learned_priors.py::test_samples_of_a_trained_model_are_those_of_the_density_in_its_rate",
        ),
    ),
)

DENSITIES = (
    Mistake(
        "importance-weights-upside-down",
        "Weigh by r(z) / p(z).",
        IMPORTANCE,
        "log_ratio = log_prior(model, codes) - log_r",
        "log_ratio = log_r - log_prior(model, codes)",
        (
            "tests/vaebook/metrics/likelihood/test_importance.py::test_own_posterior_is_the_importance_weighted_bound",
        ),
    ),
    Mistake(
        "log-determinant-per-dimension",
        "Add the flow's log-determinant to every dimension before summing: it counts d times.",
        FLOW,
        Body("FlowDistribution.log_prob"),
        """
        check_event(value, self.event_shape)
        u = self.transform(value)
        log_det = self.transform.log_abs_det_jacobian(value, u)
        return self.base.log_prob(u) + self.event_shape[0] * log_det
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_the_log_determinant_is_that_of_the_jacobian",
            "tests/vaebook/distributions/test_learned_priors.py::test_a_flow_in_more_dimensions_integrates_to_one",
        ),
    ),
    Mistake(
        "log-determinant-of-the-inverse",
        "Subtract the log-determinant of the map from codes to the base.",
        FLOW,
        Body("FlowDistribution.log_prob"),
        """
        check_event(value, self.event_shape)
        u = self.transform(value)
        log_det = self.transform.log_abs_det_jacobian(value, u)
        return self.base.log_prob(u) - log_det
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_every_learned_density_integrates_to_one",
        ),
    ),
    Mistake(
        "kl-to-the-laplace-negative",
        "Report entropy minus cross-entropy: a divergence below zero.",
        FIXED,
        "return (torch.log(2 * base.scale) + distance / base.scale).sum(-1) - entropy",
        "return entropy - (torch.log(2 * base.scale) + distance / base.scale).sum(-1)",
        (
            "tests/vaebook/distributions/test_fixed_priors.py::test_the_kl_to_a_laplace_is_never_negative",
            "tests/vaebook/distributions/test_fixed_priors.py::test_the_kl_to_a_laplace_is_the_integral",
        ),
    ),
    Mistake(
        "laplace-of-scale-one",
        "Take the Laplace distribution's scale for its deviation: its variance is 2 b².",
        FIXED,
        Body("unit_laplace"),
        """
        check_count("latent_dim", latent_dim)
        scale = torch.full((latent_dim,), 1.0)
        return Independent(Laplace(torch.zeros(latent_dim), scale), 1)
        """,
        (
            "tests/vaebook/distributions/test_fixed_priors.py::test_the_density_is_that_of_scipy_and_integrates_to_one",
        ),
    ),
    Mistake(
        "beta-without-the-jacobian",
        "Stretch the Beta's samples, and forget the stretch in the density.",
        BETA,
        "total = (log_density - width.log()).sum(-1).to(value.dtype)",
        "total = log_density.sum(-1).to(value.dtype)",
        (
            "tests/vaebook/distributions/test_stretched_beta.py::test_the_density_integrates_to_one",
            "tests/vaebook/distributions/test_stretched_beta.py::test_the_kl_to_the_uniform_three_ways",
        ),
    ),
    Mistake(
        "beta-entropy-of-the-unit-interval",
        "Forget the stretch in the entropy, and so in the rate.",
        BETA,
        "(entropy + (self.high - self.low).double().log()).sum(-1)",
        "entropy.sum(-1)",
        (
            "tests/vaebook/distributions/test_stretched_beta.py::test_density_moments_and_entropy_are_those_of_scipy",
        ),
    ),
    Mistake(
        "mean-that-dies-at-the-prior",
        "Let the encoder give a mean and a concentration from 0: at 0 the mean has no gradient.",
        POSTERIORS,
        Body("_beta"),
        """
        tilt, concentration = output[:, :latent_dim] / 2, output[:, latent_dim:]
        alpha = 1 + F.relu(concentration) * torch.sigmoid(2 * tilt)
        beta = 1 + F.relu(concentration) * torch.sigmoid(-2 * tilt)
        side = output.new_full((latent_dim,), HALF_WIDTH)
        return StretchedBeta(alpha, beta, -side, side)
        """,
        (
            "tests/vaebook/distributions/test_learned_priors.py::test_at_the_prior_the_mean_still_moves_with_the_encoder",
        ),
    ),
    Mistake(
        "sphere-one-dimension-off",
        "Take d for d − 1 in the power spherical's normaliser: the sphere's surface has d − 1.",
        SPHERE,
        Body("PowerSpherical._beta"),
        "return 0.5 * self.event_shape[0]",
        (
            "tests/vaebook/distributions/test_spherical.py::test_the_density_integrates_to_one_over_the_sphere",
            "tests/vaebook/distributions/test_spherical.py::test_entropy_and_kl_are_the_integrals",
        ),
    ),
    Mistake(
        "area-of-the-ball",
        "Take the volume of the ball for the area of the sphere.",
        SPHERE,
        Body("log_sphere_area"),
        "return 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim + 1)",
        ("tests/vaebook/distributions/test_spherical.py::test_areas_that_everybody_knows",),
    ),
    Mistake(
        "kl-on-the-sphere-negative",
        "Subtract the area's logarithm from the entropy.",
        SPHERE,
        Body("_kl_power_uniform"),
        "return q.entropy() - log_sphere_area(p.event_shape[0])",
        (
            "tests/vaebook/distributions/test_spherical.py::test_the_kl_is_positive_grows_and_knows_no_direction",
        ),
    ),
)

BEYOND_KL = (
    Mistake(
        "discrepancy-with-the-diagonal",
        "Average over all pairs, each sample with itself among them: equal sets look different.",
        DISCREPANCY,
        Body("_mean_of_pairs"),
        """
        size = len(matrix)
        return matrix.mean()
        """,
        (
            "tests/vaebook/distributions/test_discrepancy.py::test_it_is_the_double_loop_over_pairs",
            "tests/vaebook/distributions/test_discrepancy.py::test_the_unbiased_estimate_is_unbiased",
        ),
    ),
    Mistake(
        "bandwidth-without-the-dimension",
        "One bandwidth for all dimensions: in many, no sample resembles another.",
        DISCREPANCY,
        "width = 2 * x.shape[1] * scale",
        "width = 2 * scale",
        (
            "tests/vaebook/distributions/test_discrepancy.py::test_the_bandwidth_grows_with_the_dimension",
        ),
    ),
    Mistake(
        "discrepancy-shared-out",
        "Divide the batch's term by its size, and let fit average once more.",
        WAE,
        Body("WassersteinAutoencoder.loss"),
        """
        codes = self.encode(images)
        distortion = -self.likelihood_of(codes).log_prob(images.to(self.device))
        return distortion + self.mmd_weight * self.discrepancy(codes) / len(codes)
        """,
        (
            "tests/vaebook/models/test_wae.py::test_the_loss_is_the_distortion_plus_the_discrepancy_of_the_batch",
        ),
    ),
    Mistake(
        "no-straight-through",
        "Give the decoder the chosen vectors themselves: no gradient reaches the encoder.",
        CODEBOOK,
        "straight_through = inputs + (chosen - inputs).detach()",
        "straight_through = chosen",
        (
            "tests/vaebook/models/test_vqvae.py::test_the_gradient_passes_straight_through",
            "tests/vaebook/models/test_vqvae.py::test_the_encoder_learns_from_the_pictures",
        ),
    ),
    Mistake(
        "codebook-moves-in-evaluation",
        "Let the codebook follow the test images too.",
        CODEBOOK,
        "if self.training:",
        "if True:",
        (
            "tests/vaebook/models/test_vqvae.py::test_in_evaluation_the_codebook_rests_and_in_training_it_follows",
        ),
    ),
    Mistake(
        "mask-that-sees-itself",
        "Use ≤ in the last layer too: a pixel predicts itself, and the likelihood is a dream.",
        MADE,
        "[-1] < variable[:, None])",
        "[-1] <= variable[:, None])",
        (
            "tests/vaebook/distributions/test_discrete_codes.py::test_a_code_depends_on_those_before_it_only",
            "tests/vaebook/distributions/test_discrete_codes.py::test_probabilities_of_all_codes_sum_to_one",
            "tests/vaebook/distributions/test_autoregressive.py::test_a_pixel_sees_those_before_it_and_no_other",
            "tests/vaebook/distributions/test_autoregressive.py::test_the_probabilities_of_all_images_sum_to_one",
        ),
    ),
    Mistake(
        "fitted-flow-without-the-units",
        "Fit the flow to standardised codes, and sample it as if they had been raw.",
        FITTED,
        "return TransformedDistribution(flow(), [to_codes], validate_args=False)",
        "return TransformedDistribution(flow(), [], validate_args=False)",
        (
            "tests/vaebook/distributions/test_density_estimation.py::test_a_flow_bends_where_a_gaussian_cannot",
        ),
    ),
)

PRIORS: tuple[Mistake, ...] = (*MIXTURES, *DENSITIES, *BEYOND_KL)
