"""A codebook: K vectors, of which an encoder's output takes the nearest (chapter 09)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaebook._checks import check_count


class Quantised(NamedTuple):
    """What a codebook makes of vectors."""

    letters: Int[Tensor, "*batch"]  # which entry is nearest
    vectors: Float[Tensor, "*batch e"]  # that entry; its gradient goes to the input
    commitment: Float[Tensor, "*batch"]  # squared distance to it, for the encoder to shorten


class Codebook(nn.Module):
    r"""K vectors that follow what they are used for: k-means, one batch at a time.

    The choice of the nearest vector has no gradient. Two devices make up for it: the decoder's
    gradient passes *straight through* to the encoder, as if nothing had been rounded; and each
    vector moves to the running mean of the inputs that chose it. In training mode, a vector that
    is hardly chosen any more is put on a random input of the batch.

    Args:
        num_vectors: K, at least 2.
        vector_dim: numbers in a vector.
        decay: of the running means: 0.99 remembers about the last hundred batches.
        least_share: a vector chosen less often than this share of the uniform 1/K is moved.

    Raises:
        ValueError: if a count is too small, or ``decay`` or ``least_share`` is not in [0, 1).

    Source:
        van den Oord, Vinyals & Kavukcuoglu (2017), section 3 and appendix A.1.
    """

    def __init__(
        self,
        num_vectors: int,
        vector_dim: int,
        *,
        decay: float = 0.99,
        least_share: float = 0.03,
    ) -> None:
        super().__init__()
        check_count("num_vectors", num_vectors, minimum=2)
        check_count("vector_dim", vector_dim)
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay!r}; expected a number from 0 to below 1.")
        if not 0 <= least_share < 1:
            raise ValueError(
                f"least_share is {least_share!r}; expected a number from 0 to below 1, "
                "0 to leave idle vectors where they are."
            )
        self.decay = decay
        self.least_share = least_share
        self.vectors: Tensor
        self.counts: Tensor
        self.sums: Tensor
        # Not parameters: no optimiser moves them. They are saved with the weights all the same.
        self.register_buffer("vectors", torch.randn(num_vectors, vector_dim))
        self.register_buffer("counts", torch.ones(num_vectors))
        self.register_buffer("sums", self.vectors.clone())

    def nearest(self, inputs: Float[Tensor, "*batch e"]) -> Int[Tensor, "*batch"]:
        """The index of the vector nearest to each input."""
        flat = inputs.detach().reshape(-1, self.vectors.shape[1])
        letters = torch.cdist(flat, self.vectors).argmin(1)
        return letters.reshape(inputs.shape[:-1])

    def forward(self, inputs: Float[Tensor, "*batch e"]) -> Quantised:
        """Round the inputs to the codebook; in training mode, let the codebook follow them."""
        letters = self.nearest(inputs)
        chosen = self.vectors[letters]
        commitment = ((inputs - chosen) ** 2).sum(-1)
        # The value is the chosen vector, the gradient is the input's.
        straight_through = inputs + (chosen - inputs).detach()
        if self.training:
            self._follow(inputs.detach(), letters)
        return Quantised(letters, straight_through, commitment)

    @torch.no_grad()
    def _follow(self, inputs: Float[Tensor, "*batch e"], letters: Int[Tensor, "*batch"]) -> None:
        flat, chosen = inputs.reshape(-1, inputs.shape[-1]), letters.flatten()
        counts = torch.zeros_like(self.counts).index_add_(0, chosen, flat.new_ones(len(flat)))
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, flat)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        idle = self.counts < self.least_share * self.counts.mean()
        if idle.any():
            places = torch.randint(len(flat), (int(idle.sum()),), device=flat.device)
            self.sums[idle] = flat[places] * self.counts.mean()
            self.counts[idle] = self.counts.mean()
        self.vectors = self.sums / self.counts.unsqueeze(1)
