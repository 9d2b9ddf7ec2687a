"""Mistakes about flows from noise to codes, and their scale (chapter 14)."""

from tests.mistakes.planting import Body, Mistake

FLOW = "vaebook/distributions/continuous_flow.py"
MATCHING = "vaebook/distributions/flow_matching.py"
VELOCITY = "vaebook/distributions/velocity.py"
TESTS = "tests/vaebook/distributions/test_flow_matching.py::"

LATENT_FLOW: tuple[Mistake, ...] = (
    Mistake(
        "flow-target-backwards",
        "Regress on noise − code, the direction of diffusion, and then walk from noise to code.",
        MATCHING,
        "return (1 - t) * noise + t * codes, codes - noise",
        "return (1 - t) * noise + t * codes, noise - codes",
        (TESTS + "test_the_path_starts_at_the_noise_and_ends_at_the_code",),
    ),
    Mistake(
        "flow-times-swapped",
        "Put the codes at time 0 and the noise at time 1, as diffusion papers do, in one place.",
        MATCHING,
        "return (1 - t) * noise + t * codes, codes - noise",
        "return t * noise + (1 - t) * codes, codes - noise",
        (TESTS + "test_the_path_starts_at_the_noise_and_ends_at_the_code",),
    ),
    Mistake(
        "flow-density-wrong-sign",
        "Subtract the integral of the divergence, although it was taken backwards in time.",
        FLOW,
        "log_density = self.base.log_prob(back.points) + back.volume",
        "log_density = self.base.log_prob(back.points) - back.volume",
        (TESTS + "test_the_log_density_is_that_of_the_gaussian_and_the_solver_of_second_order",),
    ),
    Mistake(
        "flow-density-without-volume",
        "Take the density of the noise that a code comes from for the density of the code.",
        FLOW,
        "log_density = self.base.log_prob(back.points) + back.volume",
        "log_density = self.base.log_prob(back.points)",
        (TESTS + "test_the_log_density_is_that_of_the_gaussian_and_the_solver_of_second_order",),
    ),
    Mistake(
        "flow-divergence-without-slopes",
        "Forget the slope of the first activation in the trace.",
        VELOCITY,
        Body("VelocityNetwork.divergence"),
        """
        first, second = self._sums(x, t)
        around = self.middle.weight * (self.place.weight @ self.out.weight).T  # [h, h]
        return (_slope(second) @ around).sum(-1)
        """,
        (TESTS + "test_the_divergence_in_closed_form_is_that_of_autograd",),
    ),
    Mistake(
        "flow-scale-not-undone",
        "Decode what the flow gives without dividing by the scale factor.",
        MATCHING,
        "stretch = (std / scale).expand(latent_dim)",
        "stretch = torch.ones_like(centre)",
        (TESTS + "test_the_scale_is_undone",),
    ),
    Mistake(
        "flow-scale-counted-once",
        "Give the scale as one number: torch counts its logarithm once, not in every dimension.",
        MATCHING,
        "stretch = (std / scale).expand(latent_dim)",
        "stretch = std / scale",
        (TESTS + "test_the_density_counts_the_scale_in_every_dimension",),
    ),
    Mistake(
        "flow-one-noise-for-the-batch",
        "Draw one noise vector per batch: codes in a batch share where they come from.",
        MATCHING,
        Body("FlowMatching.loss"),
        """
        noise = self.base.sample().to(codes).expand(len(codes), -1)
        t = torch.rand(len(codes)).to(codes)
        return flow_matching_loss(self.network, noise, codes, t)
        """,
        (TESTS + "test_each_code_has_noise_and_a_time_of_its_own",),
    ),
    Mistake(
        "flow-one-time-for-the-batch",
        "Draw one time per batch.",
        MATCHING,
        Body("FlowMatching.loss"),
        """
        noise = self.base.sample((len(codes),)).to(codes)
        t = torch.rand(1).expand(len(codes)).to(codes)
        return flow_matching_loss(self.network, noise, codes, t)
        """,
        (TESTS + "test_each_code_has_noise_and_a_time_of_its_own",),
    ),
    Mistake(
        "flow-past-the-flow",
        "Decode the noise itself: the flow was trained and is never used.",
        FLOW,
        Body("ContinuousFlow.sample"),
        """
        noise = self.base.sample(torch.Size(sample_shape))
        moved = integrate(
            self.velocity, noise.reshape(-1, *self.event_shape), num_steps=self.num_steps
        )
        return noise
        """,
        (TESTS + "test_samples_are_those_of_the_density",),
    ),
    Mistake(
        "flow-eulers-method",
        "Leave out the second evaluation: the error falls with the step, not with its square.",
        FLOW,
        "moved = points + step * 0.5 * (first + velocity(trial, then))",
        "moved = trial",
        (TESTS + "test_the_log_density_is_that_of_the_gaussian_and_the_solver_of_second_order",),
    ),
)
