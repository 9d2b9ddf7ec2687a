"""What a judge gives back."""

from typing import Literal, NamedTuple

Outcome = Literal["holds", "holds in part", "does not hold"]


class Verdict(NamedTuple):
    """What a record says about a claim."""

    outcome: Outcome
    evidence: str  # one sentence with the numbers and their spread
