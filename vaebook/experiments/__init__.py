"""Every recorded experiment as a function of a seed, and the records themselves.

A public module in this package is an experiment: its name is the record's name, its ``run(seed)``
returns the rows. ``python -m vaebook.experiments NAME --seeds 5`` writes the record.
"""

from vaebook.experiments._cards import Card, Cards, verdict_cards
from vaebook.experiments._claims import CLAIMS, Claim, scoreboard, verdict
from vaebook.experiments._judges import Effect, Verdict
from vaebook.experiments._record import available, record, run_seeds
from vaebook.experiments._recorded import (
    assert_within_spread,
    load_pictures,
    load_provenance,
    load_recorded,
    load_recorded_weights,
    prediction_interval,
    results_folder,
    summarise,
)

__all__ = [
    "CLAIMS",
    "Card",
    "Cards",
    "Claim",
    "Effect",
    "Verdict",
    "assert_within_spread",
    "available",
    "load_pictures",
    "load_provenance",
    "load_recorded",
    "load_recorded_weights",
    "prediction_interval",
    "record",
    "results_folder",
    "run_seeds",
    "scoreboard",
    "summarise",
    "verdict",
    "verdict_cards",
]
