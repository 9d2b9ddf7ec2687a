"""Trains the fields of the flow in chapter 14, on codes of two numbers.

    python -m vaebook.explorer train flow

The codes are those of the latent plane's autoencoder, of dogs of five kinds. Two velocity networks
carry noise to them, one from the normal and one from the uniform distribution of variance 1.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import TransformedDistribution

from vaebook.distributions import ContinuousFlow, fit_flow_matching, standard_normal, unit_uniform
from vaebook.distributions.velocity import VelocityNetwork
from vaebook.explorer.kinds import KINDS, dogs_of_five_kinds
from vaebook.explorer.plane_models import load_plane
from vaebook.explorer.weights import in_half_precision

NOISES = {"normal": standard_normal(2), "uniform": unit_uniform(2)}
HIDDEN = 48
COPIES, NUM_EPOCHS = 10, 120  # each epoch sees each code so often
PICTURE = slice(1, None, 2)  # every second pixel of a dog


def train_flow() -> dict[str, Tensor]:
    """Everything that the page shows, by name; deterministic on one machine.

    Returns:
        ``codes`` ``[n, 2]`` with mean 0 and standard deviation 1, their ``kinds``, a dog of each
        kind in ``pictures``, and for each noise the layers of its field, ``<noise>.0.weight`` …
    """
    plane = load_plane()
    codes = plane["autoencoder.codes"]
    codes = (codes - codes.mean(0)) / (codes - codes.mean(0)).square().mean().sqrt()
    found = {"codes": codes, "kinds": plane["kinds"], "pictures": _pictures()}
    for name, base in NOISES.items():
        fitted = fit_flow_matching(
            codes.repeat(COPIES, 1), base=base, hidden=HIDDEN, num_epochs=NUM_EPOCHS, seed=0
        )
        found |= {
            f"{name}.{key}": value
            for key, value in as_layers(_network(fitted)).state_dict().items()
        }
    return in_half_precision(found)


def _pictures() -> Float[Tensor, "k h w"]:
    dogs = dogs_of_five_kinds(200, seed=2)
    first = [int((dogs.kinds == kind).nonzero()[0]) for kind in range(len(KINDS))]
    return dogs.images[first, 0][:, PICTURE, PICTURE]


def _network(fitted: TransformedDistribution) -> VelocityNetwork:
    flow = fitted.base_dist
    assert isinstance(flow, ContinuousFlow)
    assert isinstance(flow.velocity, VelocityNetwork)
    return flow.velocity


def as_layers(network: VelocityNetwork) -> nn.Sequential:
    """The same function of a point, the time and its waves, side by side."""
    first = nn.utils.skip_init(
        nn.Linear, network.place.in_features + network.time.in_features, network.place.out_features
    )
    with torch.no_grad():
        first.weight.copy_(torch.cat([network.place.weight, network.time.weight], 1))
        first.bias.copy_(network.time.bias)
    return nn.Sequential(first, nn.SiLU(), network.middle, nn.SiLU(), network.out)
