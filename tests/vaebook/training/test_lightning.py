"""Lightning's ``Trainer`` round our models: in one process it is ``fit``, in two it is one."""

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from tests.warm import run_warm
from vaebook.models import GAN, MLP, VAE, VAEGAN
from vaebook.training import fit, seeded

lightning = pytest.importorskip("lightning", reason="Lightning is not installed")

from tests.vaebook.training import lightning_processes  # noqa: E402
from vaebook.training.lightning import LightningModel  # noqa: E402

SHAPE = (1, 4, 4)
BUILD: dict[str, Callable[[], nn.Module]] = {
    "VAE": lambda: VAE(SHAPE, 2, network=MLP((8,))),
    "GAN": lambda: GAN(SHAPE, 2, network=MLP((8,)), gradient_penalty=0.1, discriminator_lr=0.5),
    "VAE-GAN": lambda: VAEGAN(SHAPE, 2, network=MLP((8,))),
}

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's own: workers, batch sizes, ranks


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.ERROR)
    yield
    log.setLevel(level)


def images() -> Tensor:
    with seeded(0):
        return torch.rand(100, *SHAPE)


def loader() -> DataLoader:
    return DataLoader(TensorDataset(images()), batch_size=16)


def trainer(**settings: object) -> "lightning.Trainer":
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    options = {"max_epochs": 3, "accelerator": "cpu", "devices": 1} | quiet | settings
    return lightning.Trainer(**options)


def build(name: str) -> nn.Module:
    with seeded(1):
        return BUILD[name]()


@pytest.mark.parametrize("name", BUILD)
@pytest.mark.parametrize("scheduled", [False, True])
def test_one_process_ends_with_the_weights_of_fit(name: str, scheduled: bool) -> None:
    scheduler = partial(CosineAnnealingLR, T_max=21) if scheduled else None
    ours, theirs = build(name), build(name)
    history = fit(ours, loader(), num_epochs=3, lr=1e-2, seed=4, scheduler=scheduler)
    module = LightningModel(theirs, lr=1e-2, seed=4, scheduler=scheduler)
    run_ = trainer()
    run_.fit(module, loader())
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[key], value, rtol=0, atol=1e-5, msg=key)
    for column in [c for c in history.rows[-1] if c.endswith("loss")]:
        found = float(run_.callback_metrics[column])
        assert found == pytest.approx(history[column][-1], rel=1e-5), column


def test_a_run_of_the_trainer_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    whole, half = build("VAE"), build("VAE")
    trainer().fit(LightningModel(whole, lr=1e-2), loader())
    first = trainer(max_epochs=1)
    first.fit(LightningModel(half, lr=1e-2), loader())
    first.save_checkpoint(tmp_path / "run.ckpt")
    again = build("VAE")
    trainer().fit(
        LightningModel(again, lr=1e-2), loader(), ckpt_path=tmp_path / "run.ckpt", weights_only=True
    )
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=0, atol=1e-6, msg=key)


def test_what_the_trainer_brings_works_round_our_models() -> None:
    """Accumulation, clipping, bfloat16 and early stopping are switches of the Trainer."""
    from lightning.pytorch.callbacks import EarlyStopping

    stop = EarlyStopping("validation_loss", patience=1)
    module = LightningModel(build("VAE"), lr=1.0)
    run_ = trainer(
        max_epochs=50,
        accumulate_grad_batches=2,
        gradient_clip_val=1.0,
        precision="bf16-mixed",
        callbacks=[stop],
    )
    run_.fit(module, loader(), loader())
    assert 1 < run_.current_epoch < 50
    assert run_.global_step == run_.current_epoch * 4  # 7 batches of an epoch, two by two


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no method loss"):
        LightningModel(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="lr is given beside optimizer"):
        LightningModel(build("VAE"), lr=1e-3, optimizer=torch.optim.AdamW)
    labelled = DataLoader(TensorDataset(images(), torch.zeros(100)), batch_size=16)
    with pytest.raises(ValueError, match="a batch holds 2 tensors"):
        trainer().fit(LightningModel(build("VAE")), labelled)


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What came out of one process, which is this one, and of two."""
    out = tmp_path_factory.mktemp("processes") / "two.json"
    ((done,),) = run_warm((out.parent, [[lightning_processes.__file__, 2, out]]))
    assert done.code == 0, done.log[-3000:]
    assert sorted(re.findall(r"MEMBER: (\d/\d)", done.log)) == ["1/2", "2/2"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = {name: lightning_processes.train(1, name) for name in lightning_processes.MODELS}
    return [one, json.loads(out.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "VAE at its means", "GAN"])
def test_two_processes_train_as_one_with_the_same_global_batch(
    one_and_two: list[dict], name: str
) -> None:
    one, two = (results[name] for results in one_and_two)
    assert len(one["losses"]) == len(two["losses"]) == 12
    for step, (expected, found) in enumerate(zip(one["losses"], two["losses"], strict=True)):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4), f"step {step}"
    assert two["weights"] == pytest.approx(one["weights"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["autoencoder", "VAE at its means", "GAN"])
def test_measures_of_two_processes_are_those_of_the_whole_set(
    one_and_two: list[dict], name: str
) -> None:
    """33 rows in two processes: the repeated one is dropped, and the order is that of the data."""
    one, two = (results[name]["ends"] for results in one_and_two)
    assert two["rows"] == one["rows"] == 33
    assert two["first"] == pytest.approx(one["first"])
    assert 0 < one["precision"] < 1
    for column in ("precision", "recall"):
        assert two[column] == pytest.approx(one[column], abs=1e-6), column
    if "elbo" in one:
        assert two["elbo"] == pytest.approx(one["elbo"], rel=1e-4)
