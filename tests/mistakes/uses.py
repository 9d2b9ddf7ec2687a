"""Mistakes in using a VAE (chapter 13)."""

from tests.mistakes.planting import Body, Mistake

DETECTION = "vaebook/metrics/detection.py"
IMPORTANCE = "vaebook/metrics/likelihood/importance.py"
LAPLACE = "vaebook/metrics/likelihood/laplace.py"
CONDITIONAL = "vaebook/models/conditional_vae.py"
INCOMPLETE = "vaebook/models/incomplete_vae.py"
GAUSSIAN = "vaebook/models/incomplete_gaussian.py"
IMPUTATION = "vaebook/experiments/ch13_using_a_vae/imputation.py"
INPAINTING = "vaebook/experiments/ch13_using_a_vae/inpainting.py"
USES_RULE = "vaebook/experiments/ch13_using_a_vae/rules.py"

USES: tuple[Mistake, ...] = (
    Mistake(
        "importance-mean-of-logs",
        "Average the log-weights: that is the ELBO, however many samples there are.",
        IMPORTANCE,
        "return torch.logsumexp(groups, 1) - math.log(size)",
        "return groups.mean(1)",
        (
            "tests/vaebook/metrics/likelihood/test_importance.py::test_groups_are_consecutive_and_the_rest_is_left_out",
        ),
    ),
    Mistake(
        "importance-sum-for-mean",
        "Forget to subtract log K: every tenfold more samples gives 2.3 nats for nothing.",
        IMPORTANCE,
        "return torch.logsumexp(groups, 1) - math.log(size)",
        "return torch.logsumexp(groups, 1)",
        ("tests/vaebook/metrics/likelihood/test_laplace.py::test_rows_of_estimates",),
    ),
    Mistake(
        "interval-without-the-effective-size",
        "Take 1/√K for the error of the logarithm, as if all weights were alike.",
        IMPORTANCE,
        Body("log_mean_interval"),
        """
        check_real("num_errors", num_errors, above=0)
        log_weights = _log_weights(log_weights)
        centre = log_mean_weight(log_weights)[0]
        effective = effective_sample_size(log_weights)
        half = num_errors * torch.full_like(effective, len(log_weights)).rsqrt()
        return centre - half, centre + half
        """,
        (
            "tests/vaebook/metrics/likelihood/test_laplace.py::test_the_interval_covers_the_truth_where_weights_are_light",
        ),
    ),
    Mistake(
        "laplace-without-the-prior",
        "Use the likelihood's curvature alone, and lose the prior's I.",
        LAPLACE,
        "precision = eye + slopes.transpose(1, 2) @ slopes / variance",
        "precision = 1e-4 * eye + slopes.transpose(1, 2) @ slopes / variance",
        (
            "tests/vaebook/metrics/likelihood/test_laplace.py::test_of_a_linear_decoder_it_is_the_true_posterior",
        ),
    ),
    Mistake(
        "anomaly-score-upside-down",
        "Score by the log-likelihood where a high score means strange.",
        DETECTION,
        "            -log_mean_weight(log_p - log_ratio)[0],",
        "            log_mean_weight(log_p - log_ratio)[0],",
        (
            "tests/vaebook/metrics/test_detection.py::test_the_scores_of_a_vae_are_those_of_its_metrics",
        ),
    ),
    Mistake(
        "auroc-normal-above-anomalous",
        "Count the pairs in which the normal picture scores higher.",
        DETECTION,
        "is_anomaly = torch.cat([torch.zeros(len(normal)), torch.ones(len(anomalous))])",
        "is_anomaly = torch.cat([torch.ones(len(normal)), torch.zeros(len(anomalous))])",
        ("tests/vaebook/metrics/test_detection.py::test_auroc_counts_pairs",),
    ),
    Mistake(
        "auroc-interval-counts-the-lost-pairs",
        "Resample the pairs that the anomaly loses: interval and value no longer agree.",
        DETECTION,
        "wins = (difference > 0).float() + 0.5 * (difference == 0).float()  # [m, n]",
        "wins = (difference < 0).float()  # [m, n]",
        (
            "tests/vaebook/metrics/test_detection.py::test_auroc_of_two_normals_is_that_of_the_formula",
        ),
    ),
    Mistake(
        "auroc-interval-without-ties",
        "Resample without the half for a tie: the interval of coarse scores leaves the value out.",
        DETECTION,
        "wins = (difference > 0).float() + 0.5 * (difference == 0).float()  # [m, n]",
        "wins = (difference > 0).float()  # [m, n]",
        ("tests/vaebook/metrics/test_detection.py::test_the_interval_is_that_of_resampled_scores",),
    ),
    Mistake(
        "threshold-quantile-upside-down",
        "Take the 5 % quantile for the 95 % one: nineteen of twenty normal pictures are flagged.",
        DETECTION,
        "return float(validation.double().quantile(1 - false_alarms))",
        "return float(validation.double().quantile(false_alarms))",
        (
            "tests/vaebook/metrics/test_detection.py::test_a_threshold_flags_the_share_that_was_asked_for",
        ),
    ),
    Mistake(
        "condition-in-the-encoder-alone",
        "Forget the condition in the decoder: nobody can ask for a class.",
        CONDITIONAL,
        Body("ConditionalVAE.likelihood_of"),
        """
        conditions = self._conditions(conditions, codes.shape[-2])
        told = codes
        if self.decoder_sees:
            conditions = torch.zeros_like(conditions)
            told = torch.cat([codes, conditions.expand(*codes.shape[:-1], -1)], -1)
        output = self.decoder(told.reshape(-1, told.shape[-1])).to(self.dtype)
        return self.likelihood(output.reshape(*codes.shape[:-1], *output.shape[1:]))
        """,
        ("tests/vaebook/models/test_conditional_vae.py::test_each_side_sees_what_it_is_told",),
    ),
    Mistake(
        "conditional-rate-against-the-standard-normal",
        "Train a prior p(z | c), and charge the rate of N(0, I).",
        CONDITIONAL,
        "rate = gaussian_kl_diagonal(posterior.mu, posterior.log_var, prior.mu, prior.log_var)",
        "rate = gaussian_kl(posterior.mu, posterior.log_var)",
        ("tests/vaebook/models/test_conditional_vae.py::test_the_bound_in_other_code",),
    ),
    Mistake(
        "conditional-samples-from-the-standard-normal",
        "Train a prior p(z | c), and draw from N(0, I).",
        CONDITIONAL,
        Body("ConditionalVAE.sample"),
        """
        conditions = self._conditions(conditions)
        with torch.no_grad(), evaluating(self):
            prior = self.prior(conditions)
        codes = torch.randn(num_samples, len(conditions), self.latent_dim).to(conditions)
        images = self.decode_all(codes.flatten(0, 1), conditions.repeat(num_samples, 1))
        return images.unflatten(0, codes.shape[:2])
        """,
        (
            "tests/vaebook/models/test_conditional_vae.py::test_samples_come_from_the_prior_of_their_condition",
        ),
    ),
    Mistake(
        "gaps-in-the-likelihood",
        "Sum the likelihood over missing entries too, whose fillings are no data.",
        INCOMPLETE,
        "log_likelihood = (each * observed).sum(-1)",
        "log_likelihood = each.sum(-1)",
        ("tests/vaebook/models/test_incomplete.py::test_only_what_was_observed_counts",),
    ),
    Mistake(
        "gaps-in-the-encoder",
        "Hand the encoder whatever stands in a gap.",
        INCOMPLETE,
        "filled = torch.where(observed, values, 0.0)",
        "filled = values",
        ("tests/vaebook/models/test_incomplete.py::test_what_hides_in_a_gap_changes_nothing",),
    ),
    Mistake(
        "incomplete-mean-of-logs",
        "Average the log-weights of K codes: the ELBO, which no further sample tightens.",
        INCOMPLETE,
        Body("IncompleteVAE.loss"),
        """
        values, observed = self._table(values, observed)
        codes = self.posterior(values, observed).rsample((self.num_importance,))
        log_weights = self.log_weights(values, observed, codes)
        return -log_weights.mean(0)
        """,
        ("tests/vaebook/models/test_incomplete.py::test_the_bound_in_scipy",),
    ),
    Mistake(
        "incomplete-sigma-without-its-floor",
        "Weigh with a σ below the floor at which the density is said to be.",
        INCOMPLETE,
        "        log_sigma = self._log_sigma()\n",
        "        log_sigma = self.log_sigma\n",
        ("tests/vaebook/models/test_incomplete.py::test_the_bound_in_scipy",),
    ),
    Mistake(
        "imputation-with-equal-weights",
        "Average over q(z | observed) without the importance weights.",
        INCOMPLETE,
        Body("IncompleteVAE._expected"),
        """
        weights = torch.full_like(self.log_weights(values, observed, codes), 1 / len(codes))
        return (weights[..., None] * self._means(codes)).sum(0)
        """,
        (
            "tests/vaebook/models/test_incomplete.py::test_imputation_is_the_exact_conditional_of_a_linear_decoder",
        ),
    ),
    Mistake(
        "em-without-the-doubt",
        "Treat filled values as observed ones, so that variances shrink step by step.",
        GAUSSIAN,
        "covariance = torch.cov(filled.T, correction=0) + doubt.mean(0) + ridge * eye",
        "covariance = torch.cov(filled.T, correction=0) + ridge * eye",
        ("tests/vaebook/models/test_incomplete.py::test_with_gaps_it_finds_the_truth",),
    ),
    Mistake(
        "imputation-scored-where-nothing-was-missing",
        "Take the error over all entries: those that were given are right for nothing.",
        IMPUTATION,
        Body("missing_rmse"),
        "return float((filled - table).square().mean().sqrt())",
        ("tests/vaebook/models/test_incomplete.py::test_errors_are_of_the_missing_entries_alone",),
    ),
    Mistake(
        "inpainting-with-the-answer",
        "Leave the hidden half in the condition.",
        INPAINTING,
        Body("conditions_of"),
        """
        ink = 1 - images
        which = nn.functional.one_hot(halves, len(HALVES)).to(images)
        return torch.cat([ink.flatten(1), which], 1)
        """,
        (
            "tests/vaebook/experiments/test_uses.py::test_the_condition_tells_nothing_of_the_hidden_half",
        ),
    ),
    Mistake(
        "worst-plain-method",
        "Compare with the plain method that is worst.",
        USES_RULE,
        "best = max(use.plain, key=lambda name: sign * table[name].mean())",
        "best = min(use.plain, key=lambda name: sign * table[name].mean())",
        ("tests/vaebook/experiments/test_uses.py::test_the_better_one_wins",),
    ),
)
