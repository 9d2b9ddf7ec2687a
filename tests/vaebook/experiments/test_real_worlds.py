"""Rules fed by the measures themselves, on pictures and codes whose answer is known.

``test_propositions`` makes up tables. Here the columns come from what the experiments measure with;
only training is left out. A seed is a new draw, or a new choice out of pictures that were judged
once.
"""

import copy
import math
from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal
from torch.nn.functional import avg_pool2d

from tests.vaebook.experiments.dog_world import DogWorld, Renderer
from vaebook.data import load_dogs, render, sample_factors
from vaebook.data.dog_controls import dog_controls
from vaebook.distributions import gaussian_kl
from vaebook.experiments.ch02_holes import blind_codes
from vaebook.experiments.ch02_holes.blind_codes import count_dogs, densities
from vaebook.experiments.ch04_gaussian_kl import kl_terms
from vaebook.experiments.ch06_vae import sampling
from vaebook.experiments.ch06_vae.sampling import BLURRED, MIXTURE, REBUILT, SAMPLES, blurred
from vaebook.experiments.ch08_what_the_kl_does.aggregate_bounds import bound_of, planted_codes
from vaebook.experiments.ch09_why_normal.centre import starting_at, vae
from vaebook.experiments.ch09_why_normal.prior_pushforward import PushedVAE, SampledVAE
from vaebook.experiments.ch09_why_normal.pushforward_gaps import PRIORS, gaps
from vaebook.experiments.ch10_why_blurry import blur_twins
from vaebook.experiments.ch12_vae_versus_gan.ladder import TRUNCATIONS
from vaebook.experiments.propositions import PROPOSITIONS
from vaebook.experiments.propositions.c8_better_images import CHOSEN, SHARPEST
from vaebook.experiments.propositions.worlds import cells
from vaebook.metrics import Reference, evaluate_elbo, measure_samples, relative_sharpness
from vaebook.metrics.dogs import NearestDog, nearest_dog
from vaebook.models import MLP, VAE, Autoencoder
from vaebook.models.ppca import ProbabilisticPCA
from vaebook.training import seeded

NAMED = {proposition.name: proposition for proposition in PROPOSITIONS}
FEW = load_dogs(200, 8, 100)
REFERENCE = Reference(FEW.test.images, FEW.train.images)
NUM_CODES = 1500
BUDGETS = ("× 1", "× 3")


def answer(name: str, record: pd.DataFrame) -> str:
    """What the rule says of a record that holds all it reads."""
    proposition = NAMED[name]
    return proposition.decide(proposition.table_of(record)).answer


def over_seeds(name: str, measure: Callable[[int], dict]) -> pd.DataFrame:
    """A row for each seed of that proposition."""
    return pd.DataFrame({"seed": seed} | measure(seed) for seed in range(NAMED[name].num_units))


@cache
def fresh(num_images: int, seed: int) -> Tensor:
    with torch.no_grad():
        return render(sample_factors(num_images, seed=600_000_001 + seed))


# --- C1, C3: probabilistic PCA, whose codes together are N(0, I) exactly --------------------------


def linear(sigma: float, latent_dim: int) -> ProbabilisticPCA:
    """Pictures of 4×4 pixels; columns at right angles, so that posteriors are diagonal."""
    with seeded(0):
        columns, _ = torch.linalg.qr(torch.randn(16, latent_dim, dtype=torch.float64))
    return ProbabilisticPCA(0.1 * columns, torch.full((16,), 0.5), sigma)


def pictures_of(world: ProbabilisticPCA, number: int, seed: int) -> Tensor:
    with seeded(seed, "pictures"):
        codes = torch.randn(number, world.latent_dim, dtype=torch.float64)
        noise = world.sigma * torch.randn(number, 16, dtype=torch.float64)
    return (codes @ world.weights.T + world.offset + noise).reshape(-1, 1, 4, 4)


def test_the_term_is_one_pictures() -> None:
    world = linear(0.02, 8)
    model = world.as_vae((1, 4, 4), posterior="diagonal")
    record = over_seeds(
        "C1a",
        lambda seed: kl_terms.measure(model, pictures_of(world, 20, seed).float(), seed=seed),
    )
    assert answer("C1a", record) == answer("C1b", record) == "holds"


def test_of_collapsed_codes_nothing_is_said() -> None:
    model = VAE((1, 32, 32), 16, network=DogWorld())
    record = over_seeds("C1a", lambda seed: kl_terms.measure(model, fresh(20, seed), seed=seed))
    assert answer("C1a", record) == "undecided"


def test_a_closed_form_with_the_deviation_for_the_variance_is_none() -> None:
    def gap(seed: int) -> dict:
        with seeded(seed, "posteriors"):
            posterior = kl_terms.random_posteriors(10, 4)
        wrong = gaussian_kl(posterior.mu, posterior.log_var / 2)
        return {"quadrature_gap": float((wrong - kl_terms.divergences(posterior)).abs().max())}

    assert answer("C1b", over_seeds("C1b", gap)) == "does not hold"


@cache
def known_bounds(seed: int) -> dict[str, float]:
    """Of planted and of null codes."""
    with seeded(seed, "controls"):
        planted, null = planted_codes(NUM_CODES, 4, num_directions=1), torch.randn(NUM_CODES, 4)
    return {"planted_bound": bound(planted, seed), "null_bound": bound(null, seed)}


def bound(codes: Tensor, seed: int) -> float:
    return bound_of(codes, seed=seed, num_components=4)[0]


def codes_together(draw: Callable[[ProbabilisticPCA, Tensor], Tensor]) -> pd.DataFrame:
    """Codes of fresh pictures under each β, one for each picture."""
    rows = []
    for seed in range(NAMED["C3"].num_units):
        for beta in NAMED["C3"].levels["beta"]:
            world = linear(0.01 * beta**0.5, 4)
            images = pictures_of(world, NUM_CODES, seed)
            rate = float(world.elbo(images, world.posterior(images)).rate.mean())
            with seeded(seed, f"codes at {beta}"):
                found = {"rate": rate, "kl_bound": bound(draw(world, images), seed)}
            rows.append({"seed": seed, "beta": beta} | found | known_bounds(seed))
    record = pd.DataFrame(rows)
    assert record["rate"].max() > math.log(NUM_CODES)  # more than so many pictures can tell
    return record


def test_codes_that_are_normal_together_are_found_so() -> None:
    """At rates beyond log N, too, where an estimate from N pictures must say otherwise."""
    assert (
        answer("C3", codes_together(lambda world, images: world.posterior(images).sample().float()))
        == "holds"
    )


def test_codes_that_are_not_are_found_out() -> None:
    assert (
        answer(
            "C3", codes_together(lambda *_: planted_codes(NUM_CODES, 4, num_directions=1, nats=0.6))
        )
        == "does not hold"
    )


# --- C2: a model in other coordinates -------------------------------------------------------------


def moved(shifted: dict[str, bool]) -> pd.DataFrame:
    """An untrained VAE with its prior at 3: with its codes moved there, or without."""
    rows = []
    for seed, network in product(range(NAMED["C2a"].num_units), ("convolutional", "MLP")):
        with seeded(seed, f"{network}: weights"):
            first = vae(FEW, 0.0, MLP((8,), background=0.95))
        for layers, match in shifted.items():
            at_three = starting_at(first, FEW, 3.0, shifted=match)
            for name, model in (("at 3", at_three), ("at 0", first)):
                elbo = evaluate_elbo(model, FEW.test.images[:5], seed=seed).elbo
                rows.append({"seed": seed, "network": network, "layers": layers, "model": name})
                rows[-1]["neg_elbo"] = -float(elbo.mean())
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("as_they_are", "to_match", "expected"),
    [(True, True, "does not hold"), (False, False, "holds"), (False, True, "depends")],
)
def test_a_prior_elsewhere_costs_what_was_not_moved(
    as_they_are: bool, to_match: bool, expected: str
) -> None:
    record = moved({"as they are": as_they_are, "shifted to match": to_match})
    assert answer("C2a", record) == expected


@pytest.mark.parametrize(("pushed", "expected"), [(True, "does not hold"), (False, "holds")])
def test_a_model_in_other_coordinates_is_the_same(pushed: bool, expected: str) -> None:
    """All of it pushed through a map; or the prior alone, which is another model."""
    images, rows = FEW.test.images[:4].double(), []
    for seed in range(NAMED["C2b"].num_units):
        with seeded(seed, "weights and codes"):
            model = SampledVAE((1, 32, 32), 4, network=MLP((8,), background=0.95)).double()
            codes = model.posterior(images).sample((2,))
        for name, transform in PRIORS.items():
            gap = gaps(model, PushedVAE(copy.deepcopy(model), transform), images, codes)["elbo_gap"]
            if not pushed:
                other = VAE(
                    (1, 32, 32),
                    4,
                    network=model.network,
                    prior=Independent(Normal(torch.full((4,), 0.5), torch.ones(4)), 1),
                ).double()
                other.load_state_dict(model.state_dict())
                both = (each.prior.log_prob(codes).mean(0) for each in (model, other))
                gap = float((next(both) - next(both)).abs().max())
            rows.append({"seed": seed, "prior": name, "elbo_gap": gap})
    assert answer("C2b", pd.DataFrame(rows)) == expected


# --- C4, C5, C6: real dogs, blurred dogs, copies, and the renderer as a decoder -------------------


class Judged:
    """Pictures with their nearest dogs, from which new sets are drawn."""

    def __init__(self, images: Tensor, near: NearestDog | None = None) -> None:
        self.images, self.near = images, near or nearest_dog(images)

    def __add__(self, other: "Judged") -> "Judged":
        near = zip(self.near, other.near, strict=True)
        return Judged(
            torch.cat([self.images, other.images]), NearestDog(*(torch.cat(both) for both in near))
        )

    def first(self, number: int) -> "Judged":
        return Judged(self.images[:number], NearestDog(*(part[:number] for part in self.near)))

    def some(self, rng: np.random.Generator, number: int) -> tuple[Tensor, NearestDog]:
        rows = torch.as_tensor(rng.integers(len(self.images), size=number))
        return self.images[rows], NearestDog(*(part[rows] for part in self.near))


DOG, SOFT, GHOST, COPY = "dog", "dog, blurred by 1 pixel", "mean of two dogs", "training dog"
AS_GHOST = "dog, blurred until it is as little sharp as the mean of two"
PARTLY, PAPER = "dogs, of which every fourth is a training dog", "empty paper"


@cache
def pool(name: str) -> Judged:
    """Forty pictures of that kind; of empty paper one, since all are the same."""
    if name == PARTLY:
        return pool(DOG).first(30) + pool(COPY).first(10)
    kinds = dog_controls(40, seed=5)
    dogs, ghosts = kinds[DOG], kinds[GHOST]
    kinds[COPY] = FEW.train.images[:40]
    kinds[PAPER] = torch.full_like(dogs[:1], 0.95)
    width = sampling.blur_width(dogs, relative_sharpness(ghosts, dogs))
    kinds[AS_GHOST] = blurred(dogs, width)
    return Judged(kinds[name])


def sampled(kinds: dict[str, Judged]) -> pd.DataFrame:
    """A record of ``sampling`` with these pictures, by their source, under each condition."""
    settings = [dict(zip(("network", "training"), each, strict=True)) for each in sampling.SETTINGS]
    return pd.DataFrame(
        {"seed": seed, "source": source, "num_pictures": 400} | place | found
        for source, pictures in kinds.items()
        for seed, found in enumerate(judged_in_each_seed(pictures, source))
        for place in settings
    )


@cache
def judged_in_each_seed(pictures: Judged, source: str) -> list[dict[str, float]]:
    """Four hundred of them, drawn anew for each seed."""
    rows = []
    for seed in range(NAMED["C4a"].num_units):
        rng = np.random.default_rng([seed, *source.encode()])
        images, near = pictures.some(rng, 400)
        rows.append(sampling.judged(images, REFERENCE, near))
    return rows


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((DOG, DOG, DOG, DOG), ("holds", "holds", "holds", "holds")),
        ((COPY, DOG, DOG, DOG), ("holds", "holds", "holds", "does not hold")),
        ((PARTLY, DOG, DOG, DOG), ("holds", "holds", "holds", "does not hold")),
        ((PAPER, PAPER, PAPER, PAPER), ("undecided",) * 4),
        ((SOFT, SOFT, DOG, SOFT), ("holds", "does not hold", "holds", None)),
        (
            (GHOST, DOG, DOG, AS_GHOST),
            ("does not hold", "does not hold", "does not hold", None),
        ),
    ],
    ids=[
        *("real dogs", "a copyist", "one who copies every fourth", "empty paper"),
        *("blurred dogs", "means of two dogs"),
    ],
)
def test_pictures_in_the_place_of_samples(kinds: tuple, expected: tuple) -> None:
    """In that of N(0, I), a mixture, reconstructions, and real dogs blurred as much.

    A blur of a pixel makes no dog of a dog at 0.03 and 0.04, and at 0.05 it lies on the margin: one
    threshold is enough to say that they are rarer.
    """
    sources = dict(zip((SAMPLES, MIXTURE, REBUILT, BLURRED), map(pool, kinds), strict=True))
    record = sampled(sources)
    for name, wanted in zip(("C4a", "C4b", "C4c", "C4d"), expected, strict=True):
        assert wanted is None or answer(name, record) == wanted, name


def test_the_renderer_as_decoder_needs_no_density() -> None:
    model = VAE((1, 32, 32), 16, network=DogWorld())
    made = sampling.drawn(model, FEW.train.images, FEW.test.images[:40], seed=0, stream="world")
    record = sampled({name: Judged(images) for name, images in made.items()} | {BLURRED: pool(DOG)})
    assert [answer(f"C4{part}", record) for part in "abcd"] == ["holds"] * 4


@pytest.mark.parametrize(
    ("normal", "others", "expected"),
    [
        (SOFT, SOFT, "holds"),
        (SOFT, GHOST, "does not hold"),
        (DOG, COPY, "does not hold"),
        (PAPER, PAPER, "undecided"),
    ],
)
def test_the_normal_prior_under_another_name_does_as_well(
    normal: str, others: str, expected: str
) -> None:
    """Training dogs, as many and of as many kinds as real ones, are none that it has drawn."""
    rng, rows = np.random.default_rng(0), []
    for row in cells(NAMED["C5"].num_units, NAMED["C5"].levels).to_dict("records"):
        kind = normal if row["model"] == "normal" else others
        images, near = pool(kind).some(rng, 400)
        found = measure_samples(images, REFERENCE, ("dogs", "novelty"), found=near)
        rows.append(row | found | {"num_pictures": 400})
    assert answer("C5", pd.DataFrame(rows)) == expected


def empty(codes: Tensor) -> Tensor:
    return torch.full((len(codes), 1, 32, 32), 0.95)


DECODERS = {
    "the renderer": (lambda codes: torch.sigmoid(Renderer()(codes)), "does not hold"),
    "noise": (lambda codes: torch.rand(len(codes), 1, 32, 32), "undecided"),
    # 0.0598 from the palest small dog, above every threshold
    "empty paper": (empty, "undecided"),
}


@pytest.mark.parametrize("name", list(DECODERS))
def test_decoders_that_need_no_training(name: str) -> None:
    decode, expected = DECODERS[name]
    rng, tables = np.random.default_rng(0), []
    few = 2 if name == "the renderer" else 1  # the others give nothing, whatever the code
    for network, latent_dim in blind_codes.SETTINGS:
        with seeded(0, f"{network}, {latent_dim} numbers"):
            codes = torch.randn(400, latent_dim)
            fitted = densities(codes, num_components=1, seed=0)
            found = count_dogs(decode, fitted, codes[:few], num_judged=few, seed=0, stream="world")
        tables.append(pd.DataFrame(found).assign(network=network, latent_dim=latent_dim))
    once = pd.concat(tables)
    hits = [column for column in once if column.startswith("num_dogs")]
    parts = []
    for seed in range(NAMED["C6a"].num_units):
        drawn = {column: rng.binomial(200, once[column] / few) for column in hits}
        parts.append(once.assign(seed=seed, num_pictures=200, **drawn))
    record = pd.concat(parts)
    assert answer("C6a", record) == answer("C6b", record) == expected


# --- C7: pictures handed back, and a blur as its own twin -----------------------------------------


@pytest.mark.parametrize(
    ("of_twin", "of_vae", "expected"),
    [
        (1.0, 1.0, ("does not hold", "does not hold")),
        (0.0, 1.0, ("holds", "holds")),
        (0.0, 0.0, ("undecided", "undecided")),
        (0.4, 1.0, ("does not hold", "holds")),
    ],
    ids=["its own twin", "a perfect twin", "no blur", "a small part"],
)
def test_a_known_blur_in_the_place_of_models(
    of_twin: float, of_vae: float, expected: tuple[str, str]
) -> None:
    """Gaussians of so many pixels: a blur of 0.4 takes less than half of what one of 1 takes."""
    models = (Autoencoder((1, 32, 32), 2), VAE((1, 32, 32), 2))

    def lost(seed: int) -> dict[str, float]:
        real = fresh(40, seed)
        found = {}
        for model, width in zip(models, (of_twin, of_vae), strict=True):
            found |= blur_twins.lost(model, blurred(real, width), Reference(real))
        return found

    by_seed = over_seeds("C7a", lost)
    record = cells(NAMED["C7a"].num_units, NAMED["C7a"].levels).merge(by_seed, on="seed")
    record["num_pictures"] = NAMED["C7a"].num_pictures
    assert (answer("C7a", record), answer("C7b", record)) == expected


# --- C8: real dogs in the place of the GAN's ------------------------------------------------------


def ladder(blur: dict[str, float]) -> pd.DataFrame:
    """A record of the ladder with real dogs, blurred by so much, in the place of each model's.

    Coarse pixels stand for features. Dogs that are drawn in are the same dogs.
    """
    reference = Reference(fresh(100, 999), features=lambda x: avg_pool2d(x, 8).flatten(1))
    rng, rows = np.random.default_rng(0), []
    measures = ("sharpness", "features", "neighbours")
    others = {"budget": (*BUDGETS, "× 10"), "data": ("dogs", "clothes"), "truncation": TRUNCATIONS}
    alike = [dict(zip(others, values, strict=True)) for values in product(*others.values())]
    once = [{"budget": "", "data": data, "truncation": 1.0} for data in others["data"]]
    for seed in range(NAMED["C8a"].num_units):
        for place, (model, width) in enumerate(blur.items()):
            images = blurred(fresh(100, 10 * seed + place), width)
            found = measure_samples(images, reference, measures)
            some, near = dogs_under(width).some(rng, 100)
            found |= measure_samples(some, reference, ("dogs",), found=near)
            told = {"told_apart": 0.99 if width else 0.5}  # a network would take seconds
            known = {"seed": seed, "model": model, "failed": ""} | found | told
            rows += [known | condition for condition in (once if model == "real" else alike)]
    return pd.DataFrame(rows)


@cache
def dogs_under(width: float) -> Judged:
    """Forty real dogs under a blur of so many pixels."""
    return Judged(blurred(fresh(40, 998), width))


VAES = tuple({SHARPEST, *(name for (role, _), (name, _) in CHOSEN.items() if role != "GAN")})
PLAIN = "autoencoder + mixture"
WIDE = 2.5  # pixels


@pytest.mark.parametrize(
    ("blur", "expected"),
    [
        ({"GAN": 0.0, PLAIN: 0.0} | dict.fromkeys(VAES, WIDE), ("holds",) * 3),
        (
            {"GAN": 0.0, PLAIN: WIDE} | dict.fromkeys(VAES, WIDE),
            ("holds", "holds", "does not hold"),
        ),
        (
            {"GAN": WIDE, PLAIN: WIDE} | dict.fromkeys(VAES, WIDE),
            ("does not hold", "does not hold", "undecided"),
        ),
    ],
    ids=["real dogs as the GAN's and the autoencoder's", "as the GAN's", "nothing differs"],
)
def test_real_dogs_beside_blurred_ones(blur: dict[str, float], expected: tuple) -> None:
    record = ladder(blur | {"real": 0.0})
    assert tuple(answer(f"C8{part}", record) for part in "abc") == expected


def test_noise_is_no_sharpness_and_a_vae_that_fails_no_lead() -> None:
    """Noise has several times the sharpness of real dogs, and what failed has none."""
    same = pd.DataFrame(
        {
            "seed": seed,
            "data": data,
            "budget": budget,
            "model": model,
            "truncation": 1.0,
            "failed": "",
            "sharpness": 0.9 + seed / 100,
        }
        for seed in range(NAMED["C8a"].num_units)
        for data in ("dogs", "clothes")
        for budget in BUDGETS
        for model in ("GAN", PLAIN, SHARPEST)
    )
    noise = same.assign(sharpness=same["sharpness"] + 3 * (same["model"] == "GAN"))
    assert answer("C8a", noise) == "does not hold"
    broken = same["model"] == SHARPEST
    failed = same.assign(
        sharpness=same["sharpness"].mask(broken, 0.0), failed=np.where(broken, "nan", "")
    )
    assert answer("C8a", failed) == "does not hold"
    assert answer("C8c", failed) == "undecided"
