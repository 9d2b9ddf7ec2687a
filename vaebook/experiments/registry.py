"""Every recorded experiment by the name of its record."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

PACKAGE = "vaebook.experiments"
KEPT = ("pictures", "weights")  # what a run may hand over of seed 0, as arguments


@dataclass(frozen=True)
class Experiment:
    """What a record is made by: a module's ``run(seed, *, …)``, which returns rows.

    Args:
        name: of the record.
        module: where ``run`` is, as one imports it.
        settings: arguments of ``run`` in which this record differs from the defaults.
        description: one sentence; the first line of the module's docstring by default.
        keeps: what the record keeps of seed 0 where ``run`` offers it: pictures, weights.
    """

    name: str
    module: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    keeps: tuple[str, ...] = KEPT

    def load(self) -> ModuleType:
        """The module, imported."""
        return importlib.import_module(self.module)

    def run(self, seed: int, **settings: Any) -> list[dict[str, Any]]:
        """The rows of one seed; ``settings`` go before those of the record."""
        return self.load().run(seed, **{**self.settings, **settings})

    def offers(self) -> tuple[str, ...]:
        """Which of :attr:`keeps` the run has to offer."""
        parameters = inspect.signature(self.load().run).parameters
        return tuple(name for name in self.keeps if name in parameters)

    def all_settings(self) -> dict[str, Any]:
        """The settings of the record, defaults included."""
        parameters = inspect.signature(self.load().run).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        for name in KEPT:
            defaults.pop(name, None)
        return defaults | dict(self.settings)

    def summary(self) -> str:
        """What it does, in one sentence."""
        lines = (self.load().__doc__ or self.name).strip().splitlines()
        return self.description or lines[0]


def _chapter(folder: str, *names: str) -> tuple[Experiment, ...]:
    """Experiments that are called as their modules are, with the defaults of their ``run``."""
    return tuple(Experiment(name, f"{PACKAGE}.{folder}.{name}") for name in names)


CH06 = "ch06_vae"
CH09 = "ch09_why_normal"
CH10 = "ch10_why_blurry"
CH12 = "ch12_vae_versus_gan"
ADVERSARIAL = ("VAE-GAN", "GAN")

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        *_chapter("ch01_autoencoder", "linear_autoencoder", "code_size"),
        *_chapter("ch02_holes", "dog_threshold", "holes", "code_map", "blind_codes"),
        *_chapter("ch03_elbo", "prior_monte_carlo", "posterior_grid", "linear_vae"),
        *_chapter("ch04_gaussian_kl", "kl_closed_form", "kl_monte_carlo", "kl_terms"),
        *_chapter(
            "ch05_reparameterisation", "gradient_variance", "gradient_training", "variance_heads"
        ),
        *_chapter(CH06, "anatomy", "pixel_noise", "sampling", "reference_search"),
        Experiment(
            "sampling_long",
            f"{PACKAGE}.{CH06}.sampling",
            {"settings": (("convolutional", "σ = 0.2, × 10"),)},
            "What a VAE draws from N(0, I) after ten times the training (chapter 06).",
        ),
        Experiment(
            "anatomy_fashion",
            f"{PACKAGE}.{CH06}.anatomy",
            {"data_name": "fashion", "num_epochs": 8, "num_images": 1000},
            "From autoencoder to VAE, one change at a time, on photographs of clothes "
            "(chapter 06).",
        ),
        *_chapter("ch07_scaling", "loss_conventions", "pixel_likelihoods"),
        *_chapter(
            *("ch08_what_the_kl_does", "beta_sweep", "collapse"),
            *("latent_sizes", "aggregate_posterior", "aggregate_bounds"),
        ),
        *_chapter(CH09, "priors", "prior_pushforward", "pushforward_gaps"),
        *_chapter(CH09, "centre", "prior_equivalence"),
        Experiment(
            "priors_learned",
            f"{PACKAGE}.{CH09}.priors",
            {"models": ("learned normal", "mixture", "VampPrior", "flow")},
            "Priors trained with the model, in the trial of chapter 09.",
        ),
        Experiment(
            "priors_afterwards",
            f"{PACKAGE}.{CH09}.priors",
            {"models": ("discrete codes", "Wasserstein", "autoencoder")},
            "Codes without a KL term and a density fitted afterwards, in the trial of chapter 09.",
        ),
        *_chapter(CH10, "blur_causes", "blur_cross", "blur_twins"),
        Experiment(
            "blur_fashion",
            f"{PACKAGE}.{CH10}.blur_causes",
            {
                "data_name": "fashion",
                "variants": ("autoencoder", "σ = 0.1", "σ = 0.2", "learned σ"),
                "num_fresh": 0,  # photographs cannot be drawn anew
            },
            "Where the blur comes from, on photographs of clothes (chapter 10).",
        ),
        *_chapter("ch11_gan", "gan_ring", "gan_recipes", "gan_changes", "gan_search"),
        *_chapter(CH12, "feature_networks", "comparison", "metric_bias", "adversarial_switch"),
        Experiment(
            "comparison_adversarial",
            f"{PACKAGE}.{CH12}.comparison",
            {"models": ADVERSARIAL},
            "The models with a discriminator, in the comparison of chapter 12.",
        ),
        Experiment(
            "comparison_fashion",
            f"{PACKAGE}.{CH12}.comparison",
            {"data_name": "fashion"},
            "VAE against GAN on photographs of clothes, where no oracle knows the truth "
            "(chapter 12).",
            keeps=("pictures",),
        ),
        Experiment(
            "comparison_fashion_adversarial",
            f"{PACKAGE}.{CH12}.comparison",
            {"data_name": "fashion", "models": ADVERSARIAL},
            "The models with a discriminator on photographs of clothes (chapter 12).",
            keeps=("pictures",),
        ),
        *_chapter(CH12, "ladder", "ladder_large"),
        Experiment(
            "ladder_long",
            f"{PACKAGE}.{CH12}.ladder",
            {"models": ("GAN", "VAE, learned σ + mixture"), "budgets": ("× 10",)},
            "GAN and the sharpest VAE at ten times the budget (chapter 12).",
        ),
        *_chapter(
            *("ch13_using_a_vae", "anomalies", "simple_pictures", "features", "imputation"),
            *("inpainting", "class_conditional", "importance_bound"),
            *("anomalies_by_class", "imputation_by_table"),
            *("inpainting_by_class", "generation_by_class"),
        ),
        *_chapter("ch14_verdicts", "latent_flow", "latent_scale"),
    )
}

# The trial, of which no record is made before its rules have been reviewed; pilots may be.
TRIAL = frozenset(
    {
        *("reference_search", "kl_terms", "pushforward_gaps", "centre", "aggregate_bounds"),
        *("sampling", "sampling_long", "prior_equivalence", "blind_codes", "blur_twins"),
        *("ladder", "ladder_long", "ladder_large", "gan_changes", "gan_search"),
        *(
            "anomalies_by_class",
            "imputation_by_table",
            "inpainting_by_class",
            "generation_by_class",
        ),
    }
)


def available() -> tuple[str, ...]:
    """Names of all experiments."""
    return tuple(sorted(EXPERIMENTS))


def experiment_of(name: str) -> Experiment:
    """The experiment that makes the record ``name``; a ``ValueError`` if there is none."""
    if name not in EXPERIMENTS:
        raise ValueError(f"no experiment {name!r}; expected one of {', '.join(available())}.")
    return EXPERIMENTS[name]
