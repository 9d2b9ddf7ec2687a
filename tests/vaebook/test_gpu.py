"""What needs an accelerator: moves between devices, captured steps, runs resumed on CUDA."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Laplace
from torch.optim.lr_scheduler import CosineAnnealingLR

from tests.vaebook.models.test_model_files import LIKELIHOODS, PRIORS
from tests.vaebook.models.test_model_files import MODELS as ALL_MODELS
from vaebook.distributions import unit_uniform
from vaebook.models import GAN, MLP, VAE, VAEGAN, VQVAE, Conv, WassersteinAutoencoder
from vaebook.training import Callback, KeepBest, Step, WarmUp, fit, seeded

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

SHAPE = (1, 8, 8)
NETWORK = MLP((32,))


def pictures(num: int = 320) -> Tensor:
    with seeded(0):
        return torch.rand(num, *SHAPE)


def fixed_prior() -> Independent:
    return Independent(Laplace(torch.zeros(3), torch.ones(3)), 1)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "VAE": lambda: VAE(SHAPE, 3, network=NETWORK),
    "VAE, Laplace prior": lambda: VAE(
        SHAPE, 3, network=NETWORK, prior=fixed_prior(), posterior="laplace"
    ),
    "VAE, convolutions": lambda: VAE(SHAPE, 3, network=Conv((4, 8), 16)),
    "VAE, full posterior": lambda: VAE(SHAPE, 3, network=NETWORK, posterior="full"),
    "VAE-GAN": lambda: VAEGAN(SHAPE, 3, network=NETWORK),
    "GAN": lambda: GAN(SHAPE, 3, network=NETWORK, gradient_penalty=0.1),
    "GAN, spectral norm": lambda: GAN(SHAPE, 3, network=NETWORK, spectral_norm=True),
    "WAE": lambda: WassersteinAutoencoder(SHAPE, 3, network=NETWORK),
    "VQ-VAE": lambda: VQVAE(SHAPE, 4, 16, network=NETWORK),
}


def build(name: str) -> nn.Module:
    with seeded(1):
        return MODELS[name]()


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_a_captured_run_ends_with_the_weights_of_an_eager_one(name: str) -> None:
    ends = []
    for capture in (False, True):
        model = build(name).cuda()
        history = fit(model, pictures(), num_epochs=3, batch_size=64, capture=capture)
        assert history.engine.startswith("captured" if capture else "eager"), history.engine
        ends.append((state(model), history["epoch"]))
    (eager, _), (captured, _) = ends
    for key, value in eager.items():
        torch.testing.assert_close(captured[key], value, rtol=2e-3, atol=2e-4, msg=key)


@pytest.mark.parametrize("name", ["VAE", "GAN"])
def test_a_captured_run_takes_the_last_smaller_batch_as_well(name: str) -> None:
    ends = []
    for capture in (False, True):
        model = build(name).cuda()
        fit(model, pictures(300), num_epochs=3, batch_size=64, capture=capture)
        ends.append(state(model))
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, rtol=2e-3, atol=2e-4, msg=key)


def test_a_schedule_moves_the_rate_of_a_captured_step() -> None:
    ends = []
    scheduler = partial(CosineAnnealingLR, T_max=15)
    for settings in (
        {"capture": False, "scheduler": scheduler},
        {"capture": True, "scheduler": scheduler},
        {"capture": True},
    ):
        model = build("VAE").cuda()
        fit(model, pictures(), num_epochs=3, batch_size=64, lr=1e-2, **settings)
        ends.append(state(model)["encoder.1.weight"])
    torch.testing.assert_close(ends[1], ends[0], rtol=2e-3, atol=2e-4)
    assert (ends[2] - ends[0]).abs().max() > 1e-2, "a stale rate would look like this"


def test_what_forbids_a_capture_is_said() -> None:
    model = build("VAE").cuda()
    history = fit(model, pictures(), num_epochs=3, batch_size=64, callbacks=[WarmUp(1)])
    assert history.engine == "eager: WarmUp acts before each step"
    history = fit(model, pictures(), num_epochs=1, optimizer=partial(torch.optim.SGD, lr=1e-4))
    assert history.engine == "eager: SGD cannot be captured"
    with pytest.raises(ValueError, match="capture=True cannot be had: WarmUp"):
        fit(model, pictures(), num_epochs=3, callbacks=[WarmUp(1)], capture=True)


def test_a_loss_that_waits_for_the_device_is_trained_eagerly() -> None:
    class Waits(VAE):
        def loss(self, images: Tensor) -> Tensor:
            return super().loss(images) * (1.0 if float(images.sum()) > 0 else 2.0)

    ends = []
    for capture in (False, None):
        with seeded(1):
            model = Waits(SHAPE, 3, network=NETWORK).cuda()
        history = fit(model, pictures(), num_epochs=2, batch_size=64, capture=capture)
        ends.append(state(model))
    assert history.engine.startswith("eager: the step cannot be captured")
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, msg=key)


def test_a_setting_changed_between_epochs_is_not_stale() -> None:
    class Double(Callback):
        def after_epoch(self, step: Step, row: object) -> None:
            step.model.beta *= 4

    ends = []
    for capture in (False, True):
        model = build("VAE").cuda()
        fit(model, pictures(), num_epochs=3, batch_size=64, callbacks=[Double()], capture=capture)
        ends.append(state(model))
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, rtol=2e-3, atol=2e-4, msg=key)


@pytest.mark.parametrize("capture", [False, True])
def test_a_run_resumed_on_cuda_is_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, capture: bool
) -> None:
    whole, halves = build("VAE").cuda(), build("VAE").cuda()
    fit(whole, pictures(), num_epochs=4, batch_size=64, capture=capture)
    settings = {"checkpoint": tmp_path / "run.pt", "checkpoint_every": 3, "capture": capture}
    fit(halves, pictures(), num_epochs=2, batch_size=64, **settings)
    torch.rand(3, device="cuda")
    halves = build("VAE").cuda()
    fit(halves, pictures(), num_epochs=4, batch_size=64, resume=True, **settings)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, halves.state_dict()[key]), key


def test_a_checkpoint_of_cuda_goes_on_without_it_and_back(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    for place, num_epochs in (("cuda", 1), ("cpu", 2), ("cuda", 3)):
        model = build("VAE").to(place)
        history = fit(
            model, pictures(), num_epochs=num_epochs, checkpoint=path, resume=True, device=place
        )
    assert history["epoch"] == [0, 1, 2]
    assert history["loss"][2] < history["loss"][0]


TRAINED = {
    name: (build, data)
    for name, (build, data) in ALL_MODELS.items()
    if name not in ("Codebook", "FactorRegressor", "ClassClassifier")  # no loss(*data) of these
}


def on_cuda(data: tuple[Tensor, ...], times: int = 1) -> tuple[Tensor, ...]:
    return tuple(tensor.repeat(times, *[1] * (tensor.ndim - 1)).cuda() for tensor in data)


@pytest.mark.parametrize("name", TRAINED)
def test_every_model_trains_and_answers_on_cuda(name: str) -> None:
    make, data = TRAINED[name]
    with seeded(1):
        model = make().cuda()
    many = on_cuda(data, 10)
    fit(model, many if len(many) > 1 else many[0], num_epochs=2, batch_size=12)
    if hasattr(model, "loss"):
        with torch.no_grad():
            losses = model.loss(*on_cuda(data))
        assert losses.device.type == "cuda"
        assert losses.isfinite().all()
    if hasattr(model, "sample"):
        conditional = name == "ConditionalVAE"
        drawn = model.sample(on_cuda(data)[1] if conditional else 3, seed=0)
        assert drawn.device.type == "cuda"


@pytest.mark.parametrize("name", TRAINED)
def test_every_model_ends_the_same_captured_and_eager(name: str) -> None:
    make, data = TRAINED[name]
    ends = []
    for capture in (False, True):
        with seeded(1):
            model = make().cuda()
        many = on_cuda(data, 10)
        settings = {"num_epochs": 2, "batch_size": 12, "capture": capture}
        fit(model, many if len(many) > 1 else many[0], **settings)
        ends.append(state(model))
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, rtol=2e-3, atol=2e-4, msg=key)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_moves(name: str) -> None:
    images = pictures(32)
    with seeded(1):
        model = VAE(SHAPE, 2, network=NETWORK, likelihood=LIKELIHOODS[name](), sample_codes=False)
    levels = {"Bernoulli": 2, "logistic": 64, "autoregressive": 256}.get(name)
    given = images if levels is None else torch.round(images * (levels - 1)) / (levels - 1)
    model.eval()
    there = copy.deepcopy(model).cuda()
    with torch.no_grad():
        expected, found = model.loss(given), there.loss(given.cuda())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-2)
    history = fit(there, given, num_epochs=2, batch_size=16)
    assert history.engine == "captured", history.engine


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_moves(name: str) -> None:
    posterior = {"sphere": "power spherical", "uniform": "beta"}.get(name, "diagonal")
    with seeded(1):
        prior = PRIORS[name]()
        try:
            model = VAE(SHAPE, 2, network=NETWORK, prior=prior, posterior=posterior)
        except ValueError:
            pytest.skip("no posterior of ours lies in its support")
    model.eval()
    there = copy.deepcopy(model).cuda()
    assert there.sample(3, seed=0).device.type == "cuda"
    codes = model.encode_all(pictures(16))
    with torch.no_grad():
        expected, found = model.prior.log_prob(codes), there.prior.log_prob(codes.cuda())
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
    history = fit(there, pictures(64), num_epochs=2, batch_size=16)
    print(name, history.engine)
    assert history.engine == "captured" or "cannot be captured" in history.engine


@pytest.mark.parametrize("name", [name for name in MODELS if name != "GAN, spectral norm"])
def test_a_model_answers_on_cuda_as_on_the_processor(name: str) -> None:
    model = build(name).eval()
    there = copy.deepcopy(model).cuda()
    images = pictures(16)
    if not name.startswith("GAN"):
        # pictures on the processor are moved to the model, and come back
        found = there.reconstruct(images)
        assert found.device.type == "cpu"
        torch.testing.assert_close(found, model.reconstruct(images), rtol=1e-3, atol=1e-4)
    assert there.sample(3, seed=0).device.type == "cuda"


def test_a_uniform_prior_and_beta_posterior_move_too() -> None:
    with seeded(1):
        model = VAE(SHAPE, 3, network=NETWORK, prior=unit_uniform(3), posterior="beta").cuda()
    fit(model, pictures(), num_epochs=1, batch_size=64)
    assert model.sample(3, seed=0).device.type == "cuda"


def test_noise_on_cuda_leaves_no_trace() -> None:
    before = torch.cuda.get_rng_state()
    fit(build("VAE").cuda(), pictures(), num_epochs=1, batch_size=64)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_keep_best_and_validation_go_with_a_captured_step() -> None:
    model = build("VAE").cuda()
    keep = KeepBest(patience=2)
    history = fit(
        model, pictures(), num_epochs=6, batch_size=64, validation=pictures(64), callbacks=[keep]
    )
    assert history.engine == "captured"
    assert keep.best_epoch == min(range(len(history)), key=history["validation_loss"].__getitem__)


def test_bfloat16_is_captured_and_ends_nearby() -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        model = build("VAE").cuda()
        history = fit(model, pictures(), num_epochs=5, batch_size=64, precision=precision)
        assert history.engine == "captured"
        losses.append(history["loss"][-1])
    assert abs(losses[0] - losses[1]) < 0.5


def test_nan_on_cuda_is_named_and_nothing_written(tmp_path: Path) -> None:
    class Poisoned(VAE):
        def loss(self, images: Tensor) -> Tensor:
            return super().loss(images) / (self.encoder[1].weight.sum() * 0)

    with seeded(1):
        model = Poisoned(SHAPE, 3, network=NETWORK).cuda()
    path = tmp_path / "run.pt"
    with pytest.raises(ValueError, match=r"the loss became .* in epoch 0, step 0"):
        fit(model, pictures(), num_epochs=2, batch_size=64, checkpoint=path)
    assert not path.exists()
