"""One training loop for all models, with checkpoints, and seeds that leave no trace."""

from vaebook._checks import already_checked
from vaebook._random import seeded, stream_seed
from vaebook.training.callbacks import Callback, KeepBest, Step
from vaebook.training.checkpoint import load_weights, save_weights
from vaebook.training.fit import Trainable, fit
from vaebook.training.history import History
from vaebook.training.players import Player
from vaebook.training.warm_up import WarmUp
from vaebook.training.weight_average import WeightAverage

__all__ = [
    "Callback", "History", "KeepBest", "Player", "Step", "Trainable", "WarmUp", "WeightAverage",
    "already_checked", "fit", "load_weights", "save_weights", "seeded", "stream_seed",
]  # fmt: skip
