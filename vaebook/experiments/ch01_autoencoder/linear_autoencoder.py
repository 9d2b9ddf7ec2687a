"""A linear autoencoder trained by gradient descent, against principal component analysis.

The optimum is known in closed form, so what is measured is how near training comes: the angle
between the two subspaces, and the loss above the optimum. Adam leaves directions undecided
whose eigenvalues nearly tie; L-BFGS, started where Adam stopped, decides them.
"""

import copy
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import Tensor

from vaebook.data import load_digits
from vaebook.distributions import GaussianLikelihood
from vaebook.models import MLP, Autoencoder
from vaebook.models.networks import linear_layer
from vaebook.training import fit, seeded

LATENT_DIMS = (2, 4, 8, 16)
SIGMA = 0.1
# Whole-data steps of Adam, first large, then small: (epochs, lr).
SCHEDULE = ((1500, 3e-2), (800, 3e-3))
NUM_ITERATIONS = 800  # of L-BFGS


def train(latent_dim: int, seed: int) -> Autoencoder:
    """A linear autoencoder of digits, trained until the loss stands still."""
    data = load_digits()
    likelihood = GaussianLikelihood(SIGMA, mean="identity")
    with seeded(seed):
        model = Autoencoder(
            data.image_shape, latent_dim, network=MLP(hidden=()), likelihood=likelihood
        )
    images = data.train.images
    for num_epochs, lr in SCHEDULE:
        fit(model, images, num_epochs=num_epochs, batch_size=len(images), lr=lr, seed=seed)
    return model


def polish(model: Autoencoder, images: Float[Tensor, "n c h w"]) -> Autoencoder:
    """A copy of the model, trained further by L-BFGS on all images, in double precision."""
    model = copy.deepcopy(model).double()
    images = images.double()
    optimiser = torch.optim.LBFGS(
        model.parameters(),
        max_iter=NUM_ITERATIONS,
        history_size=50,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-9,
        tolerance_change=1e-16,
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = model.loss(images).mean()
        value.backward()
        return value

    optimiser.step(loss)
    return model


def decoder_matrix(model: Autoencoder) -> Float[Tensor, "D d"]:
    """The decoder of a linear autoencoder, as a matrix from codes to pixels."""
    return linear_layer(model.decoder).weight.detach().double()


def compare(model: Autoencoder, images: Float[Tensor, "n c h w"]) -> dict[str, Any]:
    """Hold a linear autoencoder against the exact solution.

    Returns:
        ``angle_first`` to ``angle_last``: smallest and largest principal angle between the
        decoder's column space and the top principal subspace, degrees; ``excess`` and ``optimum``:
        squared-error part of the loss, above PCA's and PCA's own, nats per image;
        ``eigenvalue_gap``: 1 − λ(d+1) / λ(d); ``bound``: the largest angle that the excess allows,
        degrees; ``code_correlation``: largest correlation between two numbers of the code;
        ``axis_angle``: largest angle between a column of the decoder and the nearest principal
        axis, degrees; ``score_error``: share of the principal scores' variance that an affine map
        of the codes does not give.
    """
    model = copy.deepcopy(model).double()
    images = images.double()
    flat = images.flatten(1).numpy()
    d = model.latent_dim
    pca = PCA().fit(flat)
    eigenvalues = pca.explained_variance_ * (len(flat) - 1) / len(flat)
    weight = decoder_matrix(model).numpy()
    angles = subspace_angles(weight, pca.components_[:d].T)
    with torch.no_grad():
        codes = model.encode(images).numpy()
        squared_error = float((model.reconstruct(images) - images).square().sum((1, 2, 3)).mean())
    optimum = float(eigenvalues[d:].sum())
    excess = squared_error - optimum
    gap = float(eigenvalues[d - 1] - eigenvalues[d])
    scores = pca.transform(flat)[:, :d]
    design = np.column_stack([codes, np.ones(len(codes))])
    residual = scores - design @ np.linalg.lstsq(design, scores, rcond=None)[0]
    correlations = np.abs(np.corrcoef(codes.T) - np.eye(d))
    cosines = np.abs(pca.components_ @ (weight / np.linalg.norm(weight, axis=0))).max(0)
    nats = 1 / (2 * SIGMA**2)
    return {
        "angle_first": float(np.degrees(angles.min())),
        "angle_last": float(np.degrees(angles.max())),
        "bound": float(np.degrees(np.arcsin(min(1.0, max(excess, 0.0) / gap) ** 0.5))),
        "excess": nats * excess,
        "optimum": nats * optimum,
        "eigenvalue_gap": gap / float(eigenvalues[d - 1]),
        "code_correlation": float(correlations.max()),
        "axis_angle": float(np.degrees(np.arccos(np.clip(cosines, 0, 1))).max()),
        "score_error": float((residual**2).sum() / (scores**2).sum()),
    }


def run(seed: int, *, latent_dims: tuple[int, ...] = LATENT_DIMS) -> list[dict[str, Any]]:
    """Two rows per code size: ``optimiser`` is ``"adam"``, then ``"adam, lbfgs"``."""
    images = load_digits().train.images
    rows = []
    for latent_dim in latent_dims:
        model = train(latent_dim, seed)
        for optimiser, trained in (("adam", model), ("adam, lbfgs", polish(model, images))):
            key = {"latent_dim": latent_dim, "optimiser": optimiser}
            rows.append(key | compare(trained, images))
    return rows
