"""Mistakes about where the blur comes from (chapter 10)."""

from tests.mistakes.planting import Body, Mistake

OPTIMAL = "vaebook/models/optimal_decoder.py"
SHARPNESS = "vaebook/metrics/samples/sharpness.py"
CAUSES = "vaebook/experiments/ch10_why_blurry/blur_causes.py"

BLUR: tuple[Mistake, ...] = (
    Mistake(
        "optimal-decoder-softmax-over-codes",
        "Normalise the weights over the codes of the batch in place of the pictures.",
        OPTIMAL,
        "torch.softmax(log_q, dim=1)",
        "torch.softmax(log_q, dim=0)",
        ("tests/vaebook/models/test_optimal_decoder.py::test_it_by_brute_force",),
    ),
    Mistake(
        "optimal-decoder-log-var-for-std",
        "Take exp(log_var) for the standard deviation, so that precisions are squared.",
        OPTIMAL,
        "precision = torch.exp(-log_var)",
        "precision = torch.exp(-2 * log_var)",
        ("tests/vaebook/models/test_optimal_decoder.py::test_it_by_brute_force",),
    ),
    Mistake(
        "optimal-decoder-without-log-determinant",
        "Weigh pictures by distance in σ alone, as if all posteriors were equally wide.",
        OPTIMAL,
        "self._constant = (mu**2 * precision + log_var).sum(1)",
        "self._constant = (mu**2 * precision).sum(1)",
        (
            "tests/vaebook/models/test_optimal_decoder.py::test_a_wide_posterior_is_low_at_a_narrow_ones_centre",
        ),
    ),
    Mistake(
        "optimal-decoder-keeps-what-is-left-out",
        "Set the log-weight of the picture that is left out to 0, not to minus infinity.",
        OPTIMAL,
        "leave_out] = -torch.inf",
        "leave_out] = 0.0",
        ("tests/vaebook/models/test_optimal_decoder.py::test_a_picture_left_out_has_no_weight",),
    ),
    Mistake(
        "optimal-decoder-in-single-precision",
        "Compute log-densities in the codes' own precision: σ = 1e-4 has no digits left.",
        OPTIMAL,
        "log_q = z @ self._linear.T - 0.5 * (z**2 @ self._quadratic.T + self._constant)",
        "log_q = (z.float() @ self._linear.T.float() - 0.5 * (z.float()**2 "
        "@ self._quadratic.T.float() + self._constant.float())).double()",
        ("tests/vaebook/models/test_optimal_decoder.py::test_narrow_posteriors_keep_their_digits",),
    ),
    Mistake(
        "blur-error-averaged-over-pixels",
        "Average the error over the pixels, and then set it beside distortions that are sums.",
        CAUSES,
        'measures["error"] = float(difference.square().sum((1, 2, 3)).mean())',
        'measures["error"] = float(difference.square().mean((1, 2, 3)).mean())',
        ("tests/vaebook/experiments/test_blur.py::test_measures_of_a_step",),
    ),
    Mistake(
        "spectrum-of-the-mean-image",
        "Take the spectrum of the average image, in which all that differs has cancelled.",
        SHARPNESS,
        Body("power_spectrum"),
        """
        images = as_images("images", images)
        _check_square("images", images)
        return spectral_energy(images.mean(0, keepdim=True))
        """,
        ("tests/vaebook/metrics/samples/test_sharpness.py::test_no_power_is_lost",),
    ),
    Mistake(
        "sharpness-ratio-upside-down",
        "Divide real by generated: blur scores above 1.",
        SHARPNESS,
        "return float(sharpness(images).mean()) / reference",
        "return reference / float(sharpness(images).mean())",
        ("tests/vaebook/experiments/test_blur.py::test_relative_to_real_pictures",),
    ),
    Mistake(
        "conflict-divided-by-the-twins-loss",
        "Divide by what the autoencoder lacks: the share of another model's blur.",
        "vaebook/experiments/claims/c7_conflict.py",
        '"reconstructions": by_kl / lost,',
        '"reconstructions": by_kl / (1 - rebuilt[TWIN]),',
        ("tests/vaebook/experiments/test_claims.py::test_blur_by_conflict",),
    ),
)
