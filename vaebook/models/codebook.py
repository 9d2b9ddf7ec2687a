"""A codebook: K vectors, of which an encoder's output takes the nearest (chapter 09)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vaebook._checks import check_count, check_share
from vaebook._configuration import Configured

GRACE = 2.0  # a vector that was moved counts as this many times the least share


class Quantised(NamedTuple):
    """What a codebook makes of vectors."""

    codes: Int[Tensor, "*batch"]  # which entry is nearest
    vectors: Float[Tensor, "*batch e"]  # that entry; its gradient goes to the input
    commitment: Float[Tensor, "*batch"]  # squared distance to it, for the encoder to shorten


class Codebook(Configured, nn.Module):
    r"""K vectors that follow what they are used for: k-means, one batch at a time.

    The choice of the nearest vector has no gradient. Two devices make up for it: the decoder's
    gradient passes *straight through* to the encoder, as if nothing had been rounded; and each
    vector moves to the running mean of the inputs that chose it. In training mode, a vector that
    is hardly chosen is put on a random input of the batch: all that are not chosen by the first
    batch at once, and later ones as soon as their share of the choices falls too low. So the
    codebook starts on the inputs, wherever the encoder puts them.

    Args:
        num_vectors: K, at least 2.
        vector_dim: numbers in a vector.
        decay: of the running means: 0.99 remembers about the last hundred batches.
        least_share: a vector chosen less often than this share of the uniform 1/K is moved; 0
            leaves all where they are.

    Raises:
        ValueError: if a count is too small, or ``decay`` or ``least_share`` is not in [0, 1).

    Source:
        van den Oord, Vinyals & Kavukcuoglu (2017), section 3 and appendix A.1.
    """

    def __init__(
        self, num_vectors: int, vector_dim: int, *, decay: float = 0.99, least_share: float = 0.03
    ) -> None:
        super().__init__()
        check_count("num_vectors", num_vectors, minimum=2)
        check_count("vector_dim", vector_dim)
        check_share("decay", decay)
        check_share("least_share", least_share)
        self.decay = decay
        self.least_share = least_share
        self.vectors: Tensor
        self.counts: Tensor
        self.sums: Tensor
        self.chosen: Tensor
        # Not parameters: no optimiser moves them. They are saved with the weights all the same.
        self.register_buffer("vectors", torch.randn(num_vectors, vector_dim))
        self.register_buffer("counts", torch.zeros(num_vectors))
        self.register_buffer("sums", torch.zeros(num_vectors, vector_dim))
        self.register_buffer("chosen", torch.zeros(num_vectors))

    def nearest(self, inputs: Float[Tensor, "*batch e"]) -> Int[Tensor, "*batch"]:
        """The index of the vector nearest to each input."""
        flat = inputs.detach().reshape(-1, self.vectors.shape[1])
        codes = torch.cdist(flat, self.vectors).argmin(1)
        return codes.reshape(inputs.shape[:-1])

    def forward(self, inputs: Float[Tensor, "*batch e"]) -> Quantised:
        """Round the inputs to the codebook; in training mode, let the codebook follow them."""
        codes = self.nearest(inputs)
        chosen = self.vectors[codes]
        commitment = ((inputs - chosen) ** 2).sum(-1)
        # The value is the chosen vector, the gradient is the input's.
        straight_through = inputs + (chosen - inputs).detach()
        if self.training:
            self._follow(inputs.detach(), codes)
        return Quantised(codes, straight_through, commitment)

    @torch.no_grad()
    def _follow(self, inputs: Float[Tensor, "*batch e"], codes: Int[Tensor, "*batch"]) -> None:
        """Every size is known beforehand, so that a step can be recorded as a graph."""
        flat, chosen = inputs.reshape(-1, inputs.shape[-1]), codes.flatten()
        counts = torch.zeros_like(self.counts).index_add_(0, chosen, flat.new_ones(len(flat)))
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, flat)
        self.chosen += counts
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        if self.least_share:
            self._revive(flat)
        known = (self.counts > 0).unsqueeze(1)
        self.vectors.copy_(torch.where(known, self.sums / self.counts.unsqueeze(1), self.vectors))

    def _revive(self, flat: Float[Tensor, "m e"]) -> None:
        """Put the vectors that are hardly chosen on inputs of the batch, each on another one."""
        least = self.least_share * self.counts.mean()
        idle = self.counts < least
        order = torch.rand(len(flat), device=flat.device).argsort()
        places = order[torch.arange(len(idle), device=flat.device) % len(flat)]
        # Counted as little: it moves at once to what chooses it, and soon moves on if nothing does.
        count = GRACE * least
        self.counts.copy_(torch.where(idle, count, self.counts))
        self.sums.copy_(torch.where(idle.unsqueeze(1), count * flat[places], self.sums))

    @torch.no_grad()
    def perplexity(self) -> float:
        """How many vectors are in use: exp of the entropy of the choices, from 1 to K.

        Counted over all batches in training mode since the last call; NaN if there were none.
        """
        share = self.chosen / self.chosen.sum()
        self.chosen.zero_()
        return float(torch.special.entr(share).sum().exp())
