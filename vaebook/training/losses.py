"""The losses of an epoch, collected without waiting for an accelerator in each step."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

BLOCK = 1000  # steps between two looks at an accelerator


class EpochLosses:
    """Sums of the players' losses over an epoch, weighted by the examples of each batch.

    On a CPU each loss is looked at as it comes; on an accelerator they stay there until
    :meth:`collect`, so that the queue of its work never runs dry.
    """

    def __init__(self, num_players: int, device: torch.device) -> None:
        self.totals = [0.0] * num_players
        self.num_examples = 0
        self.num_steps = 0
        self._waits = device.type != "cpu"
        self._sizes: list[int] = []
        if self._waits:
            self._block = torch.empty(BLOCK, num_players, device=device, dtype=torch.float64)

    def add(self, means: Sequence[Tensor] | Tensor, num_examples: int) -> None:
        """Take in a step: each player's mean loss over a batch of ``num_examples``.

        Raises:
            FloatingPointError: naming step and player by their index, if a loss is not finite.
        """
        if not self._waits:
            self._take([float(mean) for mean in means], num_examples)
            return
        stacked = means if isinstance(means, Tensor) else torch.stack(list(means))
        self._block[len(self._sizes)] = stacked
        self._sizes.append(num_examples)
        if len(self._sizes) == BLOCK:
            self.collect()

    def collect(self) -> None:
        """Fetch what still lies on the accelerator; errors as of :meth:`add`."""
        if not self._sizes:
            return
        sizes, self._sizes = self._sizes, []
        for means, size in zip(self._block[: len(sizes)].tolist(), sizes, strict=True):
            self._take(means, size)

    def _take(self, means: list[float], num_examples: int) -> None:
        for player, mean in enumerate(means):
            if not math.isfinite(mean):
                raise FloatingPointError(self.num_steps, player, mean)
            self.totals[player] += mean * num_examples
        self.num_examples += num_examples
        self.num_steps += 1

    def means(self) -> list[float]:
        """The mean loss of each player over the examples of the epoch so far, in nats."""
        return [total / self.num_examples for total in self.totals]

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, for a checkpoint in the middle of an epoch."""
        return {
            "totals": list(self.totals),
            "num_examples": self.num_examples,
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.totals = list(state["totals"])
        self.num_examples, self.num_steps = state["num_examples"], state["num_steps"]
