"""Mistakes about measures of samples (chapter 12)."""

from tests.mistakes.planting import Body, Mistake

FRECHET = "vaebook/metrics/samples/frechet.py"
MANIFOLD = "vaebook/metrics/samples/precision_recall.py"
NOVELTY = "vaebook/metrics/samples/novelty.py"
FEATURES = "vaebook/models/feature_network.py"
DATA = "vaebook/experiments/pictures.py"
MEASURE = "vaebook/metrics/samples/measure.py"

FRECHETS = (
    Mistake(
        "frechet-with-one-root",
        "Subtract the cross term once: a set is then far from itself.",
        FRECHET,
        "- 2 * overlap",
        "- overlap",
        (
            "tests/vaebook/metrics/samples/test_frechet.py::test_zero_for_the_same_set_even_where_it_is_singular",
        ),
    ),
    Mistake(
        "frechet-with-the-trace-of-the-product",
        "Take the trace of the roots' product: right only where the covariances commute.",
        FRECHET,
        "torch.linalg.svdvals(_root(covariance) @ _root(other_covariance)).sum()",
        "(_root(covariance) @ _root(other_covariance)).trace()",
        ("tests/vaebook/metrics/samples/test_frechet.py::test_agrees_with_scipys_matrix_root",),
    ),
    Mistake(
        "frechet-with-standard-deviations",
        "Compare means and standard deviations, and forget how features go together.",
        FRECHET,
        Body("frechet_distance"),
        """
        real, generated = as_tables(minimum=2, what="picture", real=real, generated=generated)
        moments = [(x.mean(0), x.var(0).diag()) for x in (real, generated)]
        return gaussian_frechet(*moments[0], *moments[1])
        """,
        (
            "tests/vaebook/metrics/samples/test_frechet.py::test_sets_are_reduced_to_mean_and_covariance",
        ),
    ),
    Mistake(
        "frechet-not-squared",
        "Take the root of the means' distance, since it is called a distance.",
        FRECHET,
        "means = (mean - other_mean).square().sum()",
        "means = (mean - other_mean).norm()",
        (
            "tests/vaebook/metrics/samples/test_frechet.py::test_grows_with_the_square_of_a_shift_and_sees_variance",
        ),
    ),
    Mistake(
        "frechet-bias-of-one-set",
        "Forget that the real set is a sample as well.",
        FRECHET,
        "return float((1 / num_real + 1 / num_generated) * bracket)",
        "return float(bracket / num_generated)",
        (
            "tests/vaebook/metrics/samples/test_frechet.py::test_bias_is_what_two_samples_of_one_gaussian_show",
        ),
    ),
)

NEIGHBOURS = (
    Mistake(
        "precision-and-recall-swapped",
        "Ask which real pictures lie among the samples, and call it precision.",
        MANIFOLD,
        "precision=float(_inside(generated, real, of_real).float().mean()),\n"
        "        recall=float(_inside(real, generated, of_generated).float().mean()),",
        "precision=float(_inside(real, generated, of_generated).float().mean()),\n"
        "        recall=float(_inside(generated, real, of_real).float().mean()),",
        (
            "tests/vaebook/metrics/samples/test_precision_recall.py::test_separates_quality_from_variety",
            "tests/vaebook/metrics/samples/test_precision_recall.py::test_agrees_with_a_second_implementation",
        ),
    ),
    Mistake(
        "neighbour-that-is-the-point-itself",
        "Count a picture as its own nearest neighbour: every ball is one neighbour too small.",
        MANIFOLD,
        "among.kthvalue(num_neighbours + 1, dim=1)",
        "among.kthvalue(num_neighbours, dim=1)",
        (
            "tests/vaebook/metrics/samples/test_precision_recall.py::test_agrees_with_a_second_implementation",
        ),
    ),
    Mistake(
        "novelty-against-held-out-pictures",
        "Look for copies among the test pictures, which no model has seen.",
        MEASURE,
        "new = novelty(samples, reference.known, reference.held_out_distance)",
        "new = novelty(samples, reference.test, reference.held_out_distance)",
        ("tests/vaebook/metrics/samples/test_measure.py::test_copies_are_not_new",),
    ),
    Mistake(
        "novelty-of-the-fast-distance",
        "Trust the expanded square: rounding puts a copy at a distance.",
        NOVELTY,
        "        nearest = torch.cdist(part, targets).argmin(1)\n"
        "        # once more, directly: the fast way expands the square, and puts a copy at 1e-3\n"
        "        parts.append((part - targets[nearest]).square().mean(1).sqrt())\n",
        "        square = part.square().sum(1, keepdim=True) + targets.square().sum(1)\n"
        "        square = (square - 2 * part @ targets.T).clamp(min=1e-7)\n"
        "        parts.append((square.amin(1) / part.shape[1]).sqrt())\n",
        ("tests/vaebook/metrics/samples/test_novelty.py::test_a_copy_is_at_zero",),
    ),
)

FAIRNESS = (
    Mistake(
        "features-of-the-answers",
        "Take the network's answers for its features: what is not asked is not seen.",
        FEATURES,
        Body("FeatureNetwork.features"),
        """
        check_images(images, self.image_shape, dtype=self.head.weight.dtype)
        return self.head(self.body(images - self.background))
        """,
        (
            "tests/vaebook/models/test_feature_network.py::test_features_are_what_the_answers_are_a_linear_map_of",
            "tests/vaebook/models/test_feature_network.py::test_factors_are_scaled_to_their_ranges",
        ),
    ),
    Mistake(
        "controls-that-were-trained-on",
        "Take the fresh clothes from the training set and leave them there.",
        DATA,
        "train = Split(images[~held_back], labels[~held_back])",
        "train = Split(images, labels)",
        (
            "tests/vaebook/experiments/test_comparison.py::test_fresh_clothes_are_taken_out_of_the_training_set",
        ),
    ),
    Mistake(
        "looked-at-after-all-epochs",
        "Call it equal steps, and look at the end of training all the same.",
        "vaebook/experiments/ch12_vae_versus_gan/comparison.py",
        Body("KeepAt.after_epoch"),
        """
        if step.epoch + 1 == step.num_epochs and self.average.average is not None:
            self.kept, self.at = copy.deepcopy(self.average.average).eval(), time.process_time()
        """,
        ("tests/vaebook/experiments/test_comparison.py::test_equal_steps_are_the_gans",),
    ),
)

PAIRS = (
    Mistake(
        "pairs-by-position",
        "Take differences row by row, although a seed is missing or stands elsewhere.",
        "vaebook/experiments/record/statistics.py",
        'base.reindex(frame["seed"]).to_numpy()',
        "base.to_numpy()[frame.groupby(by).cumcount() % len(base)]",
        (
            "tests/vaebook/experiments/test_prior_verdicts.py::"
            "test_pairs_are_found_by_seed_wherever_their_rows_stand",
        ),
    ),
)

COMPARISON = (*FRECHETS, *NEIGHBOURS, *FAIRNESS, *PAIRS)
