"""The rules that turn a record into a verdict, on records made up for every outcome."""

from pathlib import Path

import pandas as pd
import pytest

from vaebook.experiments import CLAIMS, verdict

SEEDS = range(5)
JITTER = (-0.01, -0.005, 0.0, 0.005, 0.01)  # between seeds


def write_pixel_noise(folder: Path, ratios: dict[float, float]) -> None:
    """Samples that are dogs ``ratio`` times as often as reconstructions, by pixel noise."""
    rows = [
        {"seed": seed, "network": "one layer", "sigma": sigma, "num_epochs": 40}
        | {"source": source, "validity": share + JITTER[seed] * share}
        for seed in SEEDS
        for sigma, ratio in ratios.items()
        for source, share in (("prior", 0.9 * ratio), ("reconstruction", 0.9), ("fitted", 0.5))
    ]
    pd.DataFrame(rows).to_csv(folder / "pixel_noise.csv", index=False)


@pytest.mark.parametrize(
    ("ratios", "outcome"),
    [
        ({0.1: 0.95, 0.3: 1.0}, "holds"),
        ({0.1: 0.05, 0.3: 1.0}, "holds in part"),
        ({0.1: 0.05, 0.3: 0.4}, "does not hold"),
    ],
)
def test_a_known_distribution(ratios: dict[float, float], outcome: str, tmp_path: Path) -> None:
    write_pixel_noise(tmp_path, ratios)
    found = verdict("C4", tmp_path)
    assert found.outcome == outcome
    for ratio in ratios.values():
        assert f"{0.9 * ratio:.0%}" in found.evidence


def write_beta_sweep(folder: Path, accuracies: dict[float, float], share: float) -> None:
    """Codes that a classifier tells from the prior with some accuracy, by β; β = 400 collapsed."""
    rows = [
        {"seed": seed, "beta": beta, "train_rate": 20 + JITTER[seed], "ks_p": 0.4, "mmd_p": 0.2}
        | {"accuracy": accuracy + JITTER[seed], "classifier_p": 1e-9 if accuracy > 0.51 else 0.3}
        | {"aggregate_kl": 20 * share * (1 + JITTER[seed])}
        for seed in SEEDS
        for beta, accuracy in accuracies.items()
    ]
    gone = [
        {"seed": seed, "beta": 400.0, "train_rate": 0.5, "ks_p": 1e-9, "mmd_p": 0.005}
        | {"accuracy": 0.9, "classifier_p": 1e-9, "aggregate_kl": 0.5}
        for seed in SEEDS
    ]
    pd.DataFrame(rows + gone).to_csv(folder / "beta_sweep.csv", index=False)


@pytest.mark.parametrize(
    ("accuracies", "share", "outcome"),
    [
        ({1.0: 0.5, 9.0: 0.505}, 0.02, "holds"),
        ({1.0: 0.8, 9.0: 0.505}, 0.02, "holds in part"),
        ({1.0: 0.53, 9.0: 0.53}, 0.02, "holds in part"),  # told apart, but hardly
        ({1.0: 0.5, 9.0: 0.505}, 0.5, "holds in part"),  # the tests see nothing of the gaps
        ({1.0: 0.8, 9.0: 0.6}, 0.02, "does not hold"),
        ({1.0: 0.53, 9.0: 0.53}, 0.5, "does not hold"),
    ],
)
def test_a_latent_space_forced_to_be_gaussian(
    accuracies: dict[float, float], share: float, outcome: str, tmp_path: Path
) -> None:
    write_beta_sweep(tmp_path, accuracies, share)
    found = verdict("C3", tmp_path)
    assert found.outcome == outcome
    for accuracy in accuracies.values():
        assert f"{accuracy:.2f} ± " in found.evidence


def write_holes(folder: Path, *, box: float, mixture: float) -> None:
    """Shares of dogs at 16 numbers, and rows that the rule must not look at."""
    rows = [
        {"seed": seed, "model": model, "latent_dim": latent_dim, "sampler": sampler}
        | {"validity": share * (1 + JITTER[seed]), "orthants": 4000}
        for seed in SEEDS
        for model, latent_dim, scale in (
            ("autoencoder", 16, 1),
            ("autoencoder", 2, 0),
            ("vae", 16, 0),
        )
        for sampler, share in (
            ("box", scale * box),
            ("mixture", scale * mixture),
            ("held-out codes", 0.9),
        )
    ]
    pd.DataFrame(rows).to_csv(folder / "holes.csv", index=False)


@pytest.mark.parametrize(
    ("box", "mixture", "outcome"),
    [
        (0.0, 0.0, "holds"),
        (0.001, 0.4, "holds in part"),
        (0.3, 0.4, "does not hold"),
    ],
)
def test_possible_codes(box: float, mixture: float, outcome: str, tmp_path: Path) -> None:
    write_holes(tmp_path, box=box, mixture=mixture)
    found = verdict("C6", tmp_path)
    assert found.outcome == outcome
    assert (f"{box:.1%}" if box else "none decoded") in found.evidence
    assert f"{mixture:.0%}" in found.evidence


def write_blur(folder: Path, *, twin: float, rebuilt: float, sampled: float) -> None:
    """Sharpness of an autoencoder's and a VAE's pictures, and rows the rule must not look at."""
    for name, variant in (("blur_causes", "σ = 0.1"), ("blur_fashion", "learned σ")):
        rows = [
            {"seed": seed, "variant": model, "step": step, "sharpness": value + JITTER[seed] / 10}
            for seed in SEEDS
            for model, step, value in (
                ("autoencoder", "reconstruction", twin),
                ("autoencoder", "decoder at prior", 0.1),
                (variant, "reconstruction", rebuilt),
                (variant, "decoder at prior", sampled),
                (variant, "decoder at fitted", 0.9),
            )
        ]
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


@pytest.mark.parametrize(
    ("twin", "rebuilt", "sampled", "outcome", "shares"),
    [
        (0.9, 0.5, 0.45, "holds", ("80%", "73%")),
        (0.9, 0.5, 0.35, "holds in part", ("80%", "62%")),  # of the samples not enough
        (0.7, 0.5, 0.5, "holds in part", ("40%", "40%")),
        (0.6, 0.5, 0.4, "does not hold", ("20%", "17%")),
        (0.4, 0.5, 0.5, "does not hold", ("-20%", "-20%")),  # sharper than its twin
    ],
)
def test_blur_by_conflict(
    twin: float,
    rebuilt: float,
    sampled: float,
    outcome: str,
    shares: tuple[str, str],
    tmp_path: Path,
) -> None:
    write_blur(tmp_path, twin=twin, rebuilt=rebuilt, sampled=sampled)
    found = verdict("C7", tmp_path)
    assert found.outcome == outcome
    assert all(share in found.evidence for share in shares)
    assert f"{1 - twin:.0%}" in found.evidence


def test_every_claim_that_has_a_judge_has_a_rule_and_a_record() -> None:
    for claim in CLAIMS:
        assert (claim.judge is None) == (claim.rule == "")
        if claim.judge is not None:
            assert verdict(claim.name).evidence.endswith(".")
