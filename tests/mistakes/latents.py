"""Mistakes about what the KL does (chapter 08)."""

from tests.mistakes.planting import Body, Mistake

AGGREGATE = "vaebook/metrics/latent/aggregate.py"
TWO_SAMPLE = "vaebook/metrics/latent/two_sample.py"
WARM_UP = "vaebook/training/warm_up.py"
AUTOREGRESSIVE = "vaebook/distributions/autoregressive.py"
VAE = "vaebook/models/vae.py"

LATENTS: tuple[Mistake, ...] = (
    Mistake(
        "aggregate-mean-of-logs",
        "Average log q(z | x_i) over the pictures in place of q(z | x_i): a log is not linear.",
        AGGREGATE,
        "joint.append(torch.logsumexp(log_each.sum(-1), 1))",
        "joint.append(log_each.sum(-1).mean(1) + math.log(num_pictures))",
        (
            "tests/vaebook/metrics/latent/test_aggregate.py::test_the_aggregate_is_the_mixture_of_torch_in_every_block",
        ),
    ),
    Mistake(
        "aggregate-logsumexp-per-dimension",
        "Sum over pictures in each dimension and add up: the dimensions' product, not the mixture.",
        AGGREGATE,
        "joint.append(torch.logsumexp(log_each.sum(-1), 1))",
        "joint.append(torch.logsumexp(log_each, 1).sum(-1))",
        (
            "tests/vaebook/metrics/latent/test_aggregate.py::test_the_aggregate_is_the_mixture_of_torch_in_every_block",
        ),
    ),
    Mistake(
        "aggregate-without-log-n",
        "Forget to divide the sum of densities by their number: log N nats too many.",
        AGGREGATE,
        "return torch.cat(joint) - math.log(num_pictures), ",
        "return torch.cat(joint), ",
        (
            "tests/vaebook/metrics/latent/test_aggregate.py::test_two_far_pictures_are_told_apart_by_one_bit",
        ),
    ),
    Mistake(
        "aggregate-log-var-without-its-inverse",
        "Multiply squared distances by the variance in place of dividing.",
        AGGREGATE,
        "inverse = torch.exp(-posterior.log_var)",
        "inverse = torch.exp(posterior.log_var)",
        (
            "tests/vaebook/metrics/latent/test_aggregate.py::test_the_aggregate_is_the_mixture_of_torch_in_every_block",
        ),
    ),
    Mistake(
        "information-with-its-sign-flipped",
        "Report log q(z) − log q(z | x): a mutual information below zero.",
        AGGREGATE,
        "log_ratio = (own.log_prob(codes) - log_q).double()",
        "log_ratio = (log_q - own.log_prob(codes)).double()",
        (
            "tests/vaebook/metrics/latent/test_aggregate.py::test_two_far_pictures_are_told_apart_by_one_bit",
        ),
    ),
    Mistake(
        "information-from-a-minibatch",
        "Make the mixture of the pictures whose codes were drawn: bounded by log of their number.",
        AGGREGATE,
        "log_q, log_q_each = _log_mixture(posterior, codes, each=True)",
        "log_q, log_q_each = _log_mixture(own, codes, each=True)",
        (
            "tests/vaebook/metrics/latent/test_aggregate.py::test_it_is_at_most_log_n_and_gets_there",
        ),
    ),
    Mistake(
        "warm-up-by-epoch",
        "Count epochs for steps: the weight jumps once an epoch.",
        WARM_UP,
        Body("WarmUp.before_step"),
        """
        assert self._end is not None
        assert step.steps_per_epoch is not None
        assert isinstance(step.model, Weighted)
        done = step.epoch * step.steps_per_epoch
        step.model.beta = self._end * self.share(done, step.steps_per_epoch)
        """,
        (
            "tests/vaebook/training/test_warm_up.py::test_it_rises_by_the_step_and_ends_at_the_models_own_weight",
        ),
    ),
    Mistake(
        "warm-up-that-never-ends",
        "Divide by steps that are never reached: the model is trained at a smaller beta.",
        WARM_UP,
        Body("WarmUp.share"),
        """
        rise = self.num_epochs * steps_per_epoch
        cycle = rise + self.hold * steps_per_epoch
        if step >= self.num_cycles * cycle:
            return 1.0
        return min(1.0, step % cycle / rise) / 2
        """,
        ("tests/vaebook/training/test_warm_up.py::test_cycles_rise_hold_and_rise_again",),
    ),
    Mistake(
        "warm-up-left-half-way",
        "Leave the weight of the moment when a run is broken off: the next one ends there.",
        WARM_UP,
        Body("WarmUp.after_training"),
        """
        if step.error is None and self._end is not None and isinstance(step.model, Weighted):
            step.model.beta = self._end
        """,
        (
            "tests/vaebook/training/test_warm_up.py::test_the_weight_is_given_back_however_the_run_ends",
        ),
    ),
    Mistake(
        "free-bits-of-each-image",
        "Clamp the rate of each image, not of the batch: images far above pay for those below.",
        VAE,
        Body("VAE.free_rate"),
        """
        posterior = self.posterior(images)
        assert isinstance(posterior, DiagonalGaussian)
        each = gaussian_kl(posterior.mu[..., None], posterior.log_var[..., None])  # [n, d]
        below = each < self.free_bits  # of the batch, not of one image
        return torch.where(below, self.free_bits, each).sum(1)
        """,
        ("tests/vaebook/models/test_free_bits.py::test_the_batch_mean_is_the_sum_of_maxima",),
    ),
    Mistake(
        "free-bits-of-the-total",
        "Compare the sum over dimensions: one rich dimension lets all others collapse.",
        VAE,
        Body("VAE.free_rate"),
        """
        posterior = self.posterior(images)
        assert isinstance(posterior, DiagonalGaussian)
        each = gaussian_kl(posterior.mu[..., None], posterior.log_var[..., None])  # [n, d]
        below = each.sum(1, keepdim=True).mean(0) < self.free_bits  # of the batch, not of one image
        return torch.where(below, self.free_bits, each).sum(1)
        """,
        ("tests/vaebook/models/test_free_bits.py::test_the_batch_mean_is_the_sum_of_maxima",),
    ),
    Mistake(
        "active-by-log-var",
        "Call a dimension active if its variance output moves: inactive ones may do so.",
        "vaebook/metrics/latent/posteriors.py",
        Body("active_units"),
        """
        check_real("threshold", threshold)
        images = images_of(model, images)
        if len(images) < 2:
            raise ValueError(f"images: {len(images)} images have no variance; expected at least 2.")
        return posterior_parameters(model, images).log_var.var(0) > threshold
        """,
        (
            "tests/vaebook/metrics/latent/test_posteriors.py::test_active_units_are_those_whose_mean_moves",
        ),
    ),
    Mistake(
        "mask-that-misses-the-pixel-before",
        "Use < in the first layers too: no pixel sees the one just before it.",
        "vaebook/distributions/made.py",
        "(before <= after[:, None])",
        "(before < after[:, None])",
        (
            "tests/vaebook/distributions/test_autoregressive.py::test_a_pixel_sees_those_before_it_and_no_other",
        ),
    ),
    Mistake(
        "autoregressive-sample-in-one-pass",
        "Draw all pixels at once from an empty context: each ignores the ones before it.",
        AUTOREGRESSIVE,
        Body("AutoregressiveImage.sample"),
        """
        images = self.output.new_zeros(self._extended_shape(torch.Size(sample_shape)))
        flat = images.view(*images.shape[:-3], -1)
        for pixel in range(flat.shape[-1]):
            flat[..., pixel] = self._given(images * 0).sample().flatten(-3)[..., pixel]
        return images
        """,
        (
            "tests/vaebook/distributions/test_autoregressive.py::test_samples_come_with_their_probabilities",
        ),
    ),
    Mistake(
        "permutation-p-value-of-zero",
        "Leave the observed labelling out of the count: a p-value of 0 from 199 shuffles.",
        TWO_SAMPLE,
        "(1 + as_large) / (1 + num_permutations)",
        "as_large / num_permutations",
        (
            "tests/vaebook/metrics/latent/test_two_sample.py::test_a_p_value_is_never_zero_and_the_same_seed_gives_it_again",
        ),
    ),
    Mistake(
        "classifier-p-value-of-more-right-answers",
        "Take the chance of more right answers than were given, not of as many.",
        TWO_SAMPLE,
        Body("classifier_result"),
        """
        right = int((x > 0).sum() + (y <= 0).sum())
        total = len(x) + len(y)
        bound = 1 + x.mean() - np.exp(y).mean()
        return ClassifierTest(right / total, float(binom.sf(right, total, 0.5)), float(bound))
        """,
        (
            "tests/vaebook/metrics/latent/test_two_sample.py::test_the_p_value_of_the_classifier_is_a_sum_of_coins",
        ),
    ),
    Mistake(
        "classifier-judged-on-its-training-half",
        "Count right answers on the samples that the classifier was trained on.",
        TWO_SAMPLE,
        "predict_proba(part[half:] / scale)",
        "predict_proba(part[:half] / scale)",
        (
            "tests/vaebook/metrics/latent/test_two_sample.py::test_what_is_learned_by_heart_does_not_count",
        ),
    ),
)
