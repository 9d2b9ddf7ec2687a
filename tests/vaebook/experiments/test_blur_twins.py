"""Twins without a KL term: a tiny run, the rules that read it, and blurs whose answer is known."""

from collections import Counter

import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.vaebook.experiments.streams import DATA, begun, shared
from vaebook.data import Split, load_dogs, load_fashion
from vaebook.data.dog_controls import dog_controls
from vaebook.distributions import GaussianLikelihood, LearnedGaussianLikelihood
from vaebook.distributions.likelihoods import OneSigmaLikelihood
from vaebook.experiments.ch10_why_blurry import blur_twins
from vaebook.experiments.ch10_why_blurry.blur_twins import REBUILT, SAMPLES
from vaebook.experiments.pictures import PictureData
from vaebook.experiments.pixel_errors import rmse
from vaebook.experiments.propositions import PROPOSITIONS
from vaebook.experiments.reference import train_reference
from vaebook.metrics import Reference, relative_sharpness
from vaebook.models import VAE, Autoencoder
from vaebook.models.networks import Network

ABOUT_TWINS = [each for each in PROPOSITIONS if each.name.startswith("C7")]
NUM_TRAIN = 200


def few(name: str) -> PictureData:
    data = load_dogs(NUM_TRAIN, 8, 40) if name == "dogs" else load_fashion()
    train, test = data.train.images[:NUM_TRAIN], data.test.images[:40]
    return PictureData(name, Split(train), Split(test), test)


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blur_twins, "load_pictures_of", few)


@pytest.fixture(scope="module")
def runs() -> dict[int, tuple[pd.DataFrame, Counter[int], dict[str, Tensor]]]:
    """Two seeds: rows, the streams that they begin, pictures."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blur_twins, "load_pictures_of", few)
        for seed in (1000, 1001):
            kept: dict[str, Tensor] = {}
            with begun() as seeds:
                rows = blur_twins.run(seed, num_images=20, scale=0.01, pictures=kept)
            found[seed] = pd.DataFrame(rows), seeds, kept
    return found


def test_each_condition_has_a_row_with_twin_and_vae(runs: dict) -> None:
    table, _, kept = runs[1000]
    levels = ABOUT_TWINS[0].levels
    assert len(table) == 2 * 2 * 2 * 3
    assert {name: set(table[name]) for name in levels} == {k: set(v) for k, v in levels.items()}
    assert not table["failed"].any()
    columns = [
        f"{of}_{what}" for of in ("vae", "twin") for what in ("lost", "fine", "reconstruction_rmse")
    ]
    columns += ["rate", "sigma", "vae_lost_at_mean", "vae_lost_from_prior"]
    assert table[columns].notna().all(axis=None)
    assert set(table["num_pictures"]) == {20}
    samples = table[table["compared"] == SAMPLES]
    assert (samples["vae_lost"] != samples["vae_lost_from_prior"]).all()
    assert len(kept) == 2 * 2 * (3 + 1) * 2
    fixed = table[table["noise"] != "learned"]
    assert fixed["sigma"].to_numpy() == pytest.approx(fixed["noise"].astype(float).to_numpy())


def test_one_twin_stands_beside_the_vaes_of_all_noises(runs: dict) -> None:
    table = runs[1000][0].groupby(["data", "network", "compared"])
    assert set(table["twin_lost"].nunique()) == {1}
    assert set(table["vae_lost"].nunique()) == {3}


@pytest.mark.parametrize("proposition", ABOUT_TWINS, ids=[p.name for p in ABOUT_TWINS])
def test_the_rules_read_such_a_record(runs: dict, proposition) -> None:
    record = pd.concat(
        runs[1000][0].assign(seed=seed, num_pictures=proposition.num_pictures)
        for seed in range(proposition.num_units)
    )
    conditions = 2 * 2 * 2 * 3
    assert len(proposition.decide(proposition.table_of(record)).findings) == conditions


def test_no_stream_begins_twice(runs: dict) -> None:
    (_, first, _), (_, second, _) = runs[1000], runs[1001]
    assert len(first) > 40
    assert not shared(first)
    assert not shared(second)
    assert set(first) & set(second) <= set(DATA)


@pytest.mark.usefixtures("few_pictures")
@pytest.mark.parametrize("lost", ["twin", "0.4"])
def test_a_training_that_breaks_down_has_lost_everything(
    lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sometimes(*given: object, stream: str, **settings: object) -> torch.nn.Module:
        if stream.endswith(lost):
            raise ValueError("the loss became nan in epoch 0")
        return train_reference(*given, stream=stream, **settings)

    monkeypatch.setattr(blur_twins, "train_reference", sometimes)
    tiny = {"data_names": ("dogs",), "networks": ("MLP",), "num_images": 20, "scale": 0.01}
    table = pd.DataFrame(blur_twins.run(1000, noises=("0.1", "0.4"), **tiny))
    assert len(table) == 4
    hit = table["failed"].str.contains("nan")
    assert hit.sum() == (4 if lost == "twin" else 2)
    assert (table.loc[hit, f"{'twin' if lost == 'twin' else 'vae'}_lost"] == 1).all()
    assert table[["twin_lost", "vae_lost"]].notna().all(axis=None)


def test_one_twin_serves_every_noise() -> None:
    """The σ of its loss, fixed or learned, moves a twin less than half as far as the seed does."""
    data = few("dogs")

    def rebuilt(likelihood: OneSigmaLikelihood, seed: int = 1000) -> Tensor:
        def build(network: Network) -> Autoencoder:
            return Autoencoder(data.image_shape, 4, network=network, likelihood=likelihood)

        twin = train_reference(
            build,
            data.train.images,
            data_name="dogs",
            seed=seed,
            stream="twin",
            network="MLP",
        )
        return twin.reconstruct(data.test.images)

    first = rebuilt(GaussianLikelihood(0.1))
    between_seeds = rmse(first, rebuilt(GaussianLikelihood(0.1), seed=1001))
    for other in (GaussianLikelihood(0.4), LearnedGaussianLikelihood(0.1)):
        assert rmse(first, rebuilt(other)) < 0.5 * between_seeds


# --- blurs whose answer is known -----------------------------------------------------------------


def test_a_model_that_changes_nothing_has_lost_nothing() -> None:
    real = few("dogs").test.images
    model = VAE((1, 32, 32), 2)
    assert blur_twins.lost(model, real, Reference(real)) == pytest.approx(
        {"vae_lost": 0.0, "vae_fine": 1.0}
    )


def test_blurred_pictures_have_lost_what_their_blur_takes() -> None:
    dogs = dog_controls(30, seed=0)
    sharp, soft = dogs["dog"], dogs["dog, blurred by 1 pixel"]
    found = blur_twins.lost(Autoencoder((1, 32, 32), 2), soft, Reference(sharp))
    assert found["twin_lost"] == pytest.approx(1 - relative_sharpness(soft, sharp))
    assert 0.3 < found["twin_lost"] < 0.9
    assert found["twin_fine"] < 0.1


@pytest.mark.parametrize("name", ["twin", "learned"])
def test_new_codes_lie_where_the_models_own_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the VAE, too, whose prior is elsewhere: what lies between is no conflict."""
    data = few("dogs")
    model = blur_twins.build(name, data, None)
    last = [part for part in model.encoder.modules() if isinstance(part, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.bias[: model.latent_dim] += 5
    monkeypatch.setattr(model, "decode_all", lambda codes: codes)
    made = blur_twins.drawn(model, data.train.images, data.test.images, seed=1000, stream=name)
    assert float(made[SAMPLES].mean()) == pytest.approx(float(made[REBUILT].mean()), abs=0.2)
    assert float(made[SAMPLES].mean()) > 4


def test_an_autoencoder_is_as_blurred_as_itself() -> None:
    """A VAE whose posterior is a point, at the twin's code: what is compared is the same."""
    data = few("dogs")
    twin, vae = (blur_twins.build(name, data, None) for name in ("twin", "0.4"))
    vae.decoder.load_state_dict(twin.decoder.state_dict())
    ours, theirs = (list(model.encoder.modules()) for model in (vae, twin))
    with torch.no_grad():
        for layer, other in zip(ours, theirs, strict=True):
            if isinstance(layer, torch.nn.Linear):
                layer.weight.zero_()
                layer.weight[: len(other.weight)] = other.weight
                layer.bias.fill_(-30.0)  # log-variances, where the twin has no output
                layer.bias[: len(other.bias)] = other.bias
    real, train = data.test.images, data.train.images
    found = {}
    for name, model in (("twin", twin), ("vae", vae)):
        made = blur_twins.drawn(model, train, real, seed=1000, stream=name)
        found |= blur_twins.lost(model, made[REBUILT], Reference(real))
        assert made[SAMPLES].shape == real.shape
    assert found["vae_lost"] == pytest.approx(found["twin_lost"], abs=1e-5)
    assert found["vae_fine"] == pytest.approx(found["twin_fine"], abs=1e-5)
