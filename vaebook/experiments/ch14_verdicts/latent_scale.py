"""The scale of codes without a KL term to speak of, and a flow's need of it (chapter 14)."""

from typing import Any

import torch

from vaebook.data import ImageData, load_dogs
from vaebook.distributions import ContinuousFlow, fit_flow_matching
from vaebook.experiments.ch09_why_normal.priors import codes_of
from vaebook.experiments.ch14_verdicts.latent_flow import draw, rate_of
from vaebook.experiments.ch14_verdicts.specs import train
from vaebook.experiments.pixel_errors import reconstruction_rmse
from vaebook.metrics import Reference, measure_samples, posterior_parameters
from vaebook.models import VAE

BETAS = (1e-6, 1e-4, 1e-2)
SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)
# Steps of Heun's method: tried at scale 1, and those of them that are tried at every scale.
STEPS = (1, 2, 4, 8, 20)
STEPS_EVERYWHERE = (4, 20)


def run(
    seed: int,
    *,
    betas: tuple[float, ...] = BETAS,
    scales: tuple[float, ...] = SCALES,
    num_epochs: int = 12,
    flow_epochs: int = 30,
    num_images: int = 100,
) -> list[dict[str, Any]]:
    """Measure the codes' scale by the KL term's weight, and what a flow makes of other scales.

    Args:
        betas: weights of the KL term; the flows are trained on the codes of the first.
        scales: standard deviations that the codes are brought to before the flow sees them.

    Returns:
        Rows of two kinds, told apart by ``part``. ``"encoder"``: ``beta`` and :func:`about`.
        ``"flow"``: ``scale``, ``num_steps`` of the solver, and ``dogs`` and ``sharpness`` of
        :func:`vaebook.metrics.measure_samples`.
    """
    data = load_dogs()
    reference = Reference(data.test.images)
    rows: list[dict[str, Any]] = []
    for beta in betas:
        model = train(beta, data, seed=seed, num_epochs=num_epochs)
        assert isinstance(model, VAE)
        rows.append({"part": "encoder", "beta": beta, **about(model, data)})
        if beta != betas[0]:
            continue
        codes = codes_of(model, data.train.images)
        for scale in scales:
            prior = fit_flow_matching(codes, scale=scale, num_epochs=flow_epochs, seed=seed)
            flow = prior.base_dist
            assert isinstance(flow, ContinuousFlow)
            for num_steps in STEPS if scale == 1.0 else STEPS_EVERYWHERE:
                flow.num_steps = num_steps
                images = draw(model, prior, num_images, seed=seed)
                row = {"part": "flow", "scale": scale, "num_steps": num_steps}
                found = measure_samples(images, reference, ["dogs", "sharpness"])
                rows.append(row | found)
    return rows


@torch.no_grad()
def about(model: VAE, data: ImageData) -> dict[str, float]:
    """What a VAE's codes are like.

    Returns:
        ``rate``, in nats per image; ``code_std``: of all numbers of the training codes together;
        ``second_moment``: the mean of z² (1 at every optimum), with its least and largest
        dimension; ``posterior_std``: the median σ of one picture's codes; ``reconstruction_rmse``.
    """
    posterior = posterior_parameters(model, data.train.images)
    moment = (posterior.mu**2 + posterior.variance).mean(0)
    codes = codes_of(model, data.train.images)
    return {
        "rate": rate_of(model, data.test.images),
        "code_std": float((codes - codes.mean(0)).square().mean().sqrt()),
        "second_moment": float(moment.mean()),
        "least_moment": float(moment.min()),
        "largest_moment": float(moment.max()),
        "posterior_std": float(posterior.std.median()),
        "reconstruction_rmse": reconstruction_rmse(model, data.test.images),
    }
