"""Mistakes of two players: the GAN (chapter 11)."""

from tests.mistakes.planting import Body, Mistake

GAN = "vaebook/models/gan.py"
WATCH = "vaebook/experiments/ch11_gan/models.py"

ADVERSARIAL: tuple[Mistake, ...] = (
    Mistake(
        "gan-generator-updated-through-a-detached-sample",
        "Reuse the discriminator's detached pictures in the generator's turn: nothing reaches it.",
        GAN,
        Body("GAN.generator_loss"),
        """
        generated = self.decode(self.prior.sample((len(images),))).detach()
        return GENERATOR_LOSSES[self.generator_objective](self.logits(generated))
        """,
        (
            "tests/vaebook/models/test_gan.py::test_each_player_moves_its_own_weights_only",
            "tests/vaebook/models/test_gan.py::test_the_generators_gradient_raises_the_judged_realness",
        ),
    ),
    Mistake(
        "gan-generator-loss-with-the-wrong-sign",
        "Hand the generator the discriminator's label for its pictures, so that it helps to "
        "unmask itself.",
        GAN,
        Body("GAN.generator_loss"),
        """
        generated = self.decode(self.prior.sample((len(images),)))
        return GENERATOR_LOSSES[self.generator_objective](-self.logits(generated))
        """,
        (
            "tests/vaebook/models/test_gan.py::test_the_generators_gradient_raises_the_judged_realness",
        ),
    ),
    Mistake(
        "gan-saturating-where-non-saturating-is-asked",
        "Take log(1 − D) for −log D: both fall as D rises, and only one has a slope at D = 0.",
        GAN,
        '    "non-saturating": non_saturating_loss,',
        '    "non-saturating": minimax_loss,',
        (
            "tests/vaebook/distributions/test_adversarial.py::test_the_generator_minimises_the_loss_it_was_given",
        ),
    ),
    Mistake(
        "gan-minimax-loss-of-the-wrong-logit",
        "Write log D with a minus sign forgotten: log(1 − D) takes softplus of the logit itself.",
        GAN,
        Body("minimax_loss"),
        "return -F.softplus(-generated_logits)",
        (
            "tests/vaebook/models/test_gan.py::test_generator_losses_are_what_their_names_say",
            "tests/vaebook/distributions/test_adversarial.py::test_slopes_of_the_losses_in_the_logit",
        ),
    ),
    Mistake(
        "gan-labels-swapped",
        "Label generated pictures as real for the discriminator.",
        GAN,
        Body("discriminator_loss"),
        "return F.softplus(real_logits) + F.softplus(-generated_logits)",
        ("tests/vaebook/models/test_gan.py::test_discriminator_loss_is_two_cross_entropies",),
    ),
    Mistake(
        "gan-sigmoid-twice",
        "End the discriminator with a sigmoid and use the loss for logits: D lies in [½, 0.73].",
        GAN,
        Body("GAN.logits"),
        """
        logits: Tensor = self.discriminator(images).to(self.dtype)
        return torch.sigmoid(logits.squeeze(1))
        """,
        ("tests/vaebook/distributions/test_adversarial.py::test_the_discriminator_gives_logits",),
    ),
    Mistake(
        "gan-penalty-without-create-graph",
        "Compute the slope without a graph of its own: the penalty is a constant.",
        GAN,
        Body("gradient_penalty"),
        """
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = discriminator(images)
            (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=False)
        return slope.square().flatten(1).sum(1) / 2  # summed over pixels, one value per picture
        """,
        (
            "tests/vaebook/models/test_gan.py::test_gradient_penalty_of_a_linear_critic_is_half_its_squared_weights",
        ),
    ),
    Mistake(
        "gan-penalty-averaged-over-pixels",
        "Take the mean over the pixels: γ is a thousand times too small.",
        GAN,
        Body("gradient_penalty"),
        """
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            logits = discriminator(images)
            (slope,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return slope.square().flatten(1).mean(1) / 2  # summed over pixels, one value per picture
        """,
        ("tests/vaebook/models/test_gan.py::test_gradient_penalty_by_finite_differences",),
    ),
    Mistake(
        "gan-discriminator-trains-the-generator-too",
        "Forget to cut the graph and give the optimiser all weights: the generator learns to be "
        "found out.",
        GAN,
        "                list(self.discriminator.parameters()),",
        "                list(self.parameters()),",
        (
            "tests/vaebook/distributions/test_adversarial.py::test_a_turn_holds_the_weights_of_one_player",
        ),
    ),
    Mistake(
        "gan-without-slope-to-the-pictures",
        "Take the generator's logits without a graph, as when judging.",
        GAN,
        Body("GAN.logits"),
        """
        logits: Tensor = self.discriminator(images.detach()).to(self.dtype)
        return logits.squeeze(1)
        """,
        (
            "tests/vaebook/models/test_gan.py::test_the_generators_gradient_raises_the_judged_realness",
        ),
    ),
    Mistake(
        "jensen-shannon-without-halves",
        "Add the two divergences and forget their mean: twice too large, log 4 at most.",
        "vaebook/distributions/jensen_shannon.py",
        Body("jensen_shannon"),
        """
        grid, log_p, log_g = on_a_grid(low, high, num_points, p=p, g=g)
        log_m = torch.logaddexp(log_p, log_g) - math.log(2)
        to_p = integrate_ratio("p", grid, log_p, log_p - log_m)
        to_g = integrate_ratio("g", grid, log_g, log_g - log_m)
        return to_p + to_g
        """,
        (
            "tests/vaebook/distributions/test_adversarial.py::test_jensen_shannon_of_equal_and_of_disjoint_distributions",
        ),
    ),
    Mistake(
        "gan-accuracy-on-real-pictures-only",
        "Measure accuracy on real pictures only: a discriminator that calls all real is perfect.",
        WATCH,
        "(real > 0).float().mean() + (generated <= 0).float().mean()",
        "(real > 0).float().mean() + (real > 0).float().mean()",
        (
            "tests/vaebook/experiments/test_gan_experiments.py::test_the_watch_measures_the_game_and_leaves_it_alone",
        ),
    ),
)
