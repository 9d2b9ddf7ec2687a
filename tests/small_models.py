"""Models of a few numbers for the tests of training: no image, no network to wait for."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from vaebook.training import Player, seeded


class Denoiser(nn.Module):
    """Restores rows of numbers from noisy ones; its loss draws noise and has a weight beta."""

    def __init__(self, width: int = 3, beta: float = 0.5) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(width, 4), nn.Tanh(), nn.Linear(4, width))
        self.beta = beta

    def loss(self, rows: Tensor) -> Tensor:
        restored = self.network(rows + 0.1 * torch.randn_like(rows))
        return (restored - rows).square().sum(1) + self.beta * restored.square().sum(1)


class Exact(nn.Module):
    """The same without noise, so that a hand-written loop gives the same weights."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(width, 4), nn.Tanh(), nn.Linear(4, width))

    def loss(self, rows: Tensor) -> Tensor:
        return (self.network(rows) - rows).square().sum(1)


class Duel(nn.Module):
    """Two players: one follows the data, one the other."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead, self.behind = nn.Linear(3, 3), nn.Linear(3, 3)

    def lead(self, rows: Tensor) -> Tensor:
        return (self.ahead(rows) - rows).square().sum(1)

    def follow(self, rows: Tensor) -> Tensor:
        return (self.behind(rows) - self.ahead(rows)).square().sum(1)

    def players(self) -> tuple[Player, ...]:
        return (
            Player("ahead", list(self.ahead.parameters()), self.lead, betas=(0.5, 0.9)),
            Player("behind", list(self.behind.parameters()), self.follow, lr_factor=3.0),
        )


class Recorder(nn.Module):
    """Notes the batches that its loss and its check are given; the loss is the first column."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(()))
        self.trained: list[Tensor] = []
        self.measured: list[Tensor] = []
        self.checked: list[Tensor] = []

    def check(self, rows: Tensor) -> None:
        self.checked.append(rows)

    def loss(self, rows: Tensor) -> Tensor:
        (self.trained if self.training else self.measured).append(rows)
        return rows[:, 0] + 0 * self.idle.to(rows.dtype)


class Items(Dataset[Tensor]):
    """Rows of a table one by one, with noise from torch's generator if asked for."""

    def __init__(self, rows: Tensor, noise: float = 0.0) -> None:
        self.rows, self.noise = rows, noise

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        return augmented(self.rows[index], self.noise)


class Flow(IterableDataset[Tensor]):
    """The same as a stream, which does not say how long it is."""

    def __init__(self, rows: Tensor, noise: float = 0.0) -> None:
        self.rows, self.noise = rows, noise

    def __iter__(self):
        for row in self.rows:
            yield augmented(row, self.noise)


def augmented(row: Tensor, noise: float) -> Tensor:
    return row + noise * torch.randn(len(row)) if noise else row


def numbered(num: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Row i is i three times."""
    return torch.arange(num, dtype=dtype)[:, None].expand(-1, 3).contiguous()


def rows(num: int = 20, seed: int = 0) -> Tensor:
    with seeded(seed):
        return torch.randn(num, 3)


def built(kind: Callable[[], nn.Module]) -> nn.Module:
    """A model whose weights are always the same."""
    with seeded(0):
        return kind()


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()
