"""Every recorded experiment as a function of a seed, and the records themselves.

``registry`` says what makes each record: a module's ``run(seed)``, in the folder of its chapter.
``python -m vaebook.experiments NAME --seeds 5`` makes the record; ``record`` is how, and ``claims``
what the records say of the eight claims.

In every ``run``, ``seed`` is of all that is random there (initial weights, shuffling, noise,
samples), ``num_epochs`` counts passes over the training pictures, ``num_train`` training pictures
(0 takes all), ``num_images`` pictures that are judged, and what is called like a table of the
module in capitals takes names in it. ``pictures`` and ``weights`` are filled for the record.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vaebook.experiments.record.load import (
    load_pictures,
    load_provenance,
    load_recorded,
    load_recorded_weights,
    results_folder,
)
from vaebook.experiments.record.run import make_record, run_seeds
from vaebook.experiments.record.statistics import (
    assert_within_spread,
    intervals,
    paired_differences,
    prediction_interval,
    summarise,
)
from vaebook.experiments.registry import EXPERIMENTS, Experiment, available

if TYPE_CHECKING:
    from vaebook.experiments.claims.cards import Card, Cards, verdict_cards
    from vaebook.experiments.claims.claim import Claim, Effect, Verdict
    from vaebook.experiments.claims.scoreboard import CLAIMS, scoreboard, verdict

__all__ = [
    "CLAIMS", "EXPERIMENTS", "Card", "Cards", "Claim", "Effect", "Experiment", "Verdict",
    "assert_within_spread", "available", "intervals", "load_pictures", "load_provenance",
    "load_recorded", "load_recorded_weights", "make_record", "paired_differences",
    "prediction_interval", "results_folder", "run_seeds", "scoreboard", "summarise", "verdict",
    "verdict_cards",
]  # fmt: skip

# The claims need matplotlib and all that measures. They are imported when one of their names is
# asked for, so that a process that makes a record starts in half the time.
_OF_CLAIMS = {
    **dict.fromkeys(("Card", "Cards", "verdict_cards"), "cards"),
    **dict.fromkeys(("Claim", "Effect", "Verdict"), "claim"),
    **dict.fromkeys(("CLAIMS", "scoreboard", "verdict"), "scoreboard"),
}


def __getattr__(name: str) -> Any:
    """A public name of the claims."""
    if name not in _OF_CLAIMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.claims.{_OF_CLAIMS[name]}"), name)


def __dir__() -> list[str]:
    """All names, those of the claims too."""
    return sorted({*globals(), *__all__})
