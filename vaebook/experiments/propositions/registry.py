"""All propositions, in the order of the claims, and the records of the trial beside theirs."""

from typing import NamedTuple

from vaebook.experiments.propositions import (
    c1_kl_term,
    c2_no_need_for_normal,
    c3_forced_gaussian,
    c4_known_distribution,
    c5_another_distribution,
    c6_possible_codes,
    c7_conflict,
    c8_better_images,
)
from vaebook.experiments.propositions.proposition import Proposition

PROPOSITIONS: tuple[Proposition, ...] = (
    *c1_kl_term.PROPOSITIONS,
    *c2_no_need_for_normal.PROPOSITIONS,
    *c3_forced_gaussian.PROPOSITIONS,
    *c4_known_distribution.PROPOSITIONS,
    *c5_another_distribution.PROPOSITIONS,
    *c6_possible_codes.PROPOSITIONS,
    *c7_conflict.PROPOSITIONS,
    *c8_better_images.PROPOSITIONS,
)


class Planned(NamedTuple):
    """A record that no proposition reads: it is shown, and nothing is concluded from it."""

    num_seeds: int
    core_minutes: float  # of one seed, as last measured beside another process

    @property
    def core_hours(self) -> float:
        """What it costs."""
        return self.num_seeds * self.core_minutes / 60


# Their units are classes, tables and changes: seeds are few.
BESIDE = {
    "sampling_long": Planned(3, 5.4),
    "ladder_long": Planned(3, 20.3),
    "ladder_large": Planned(3, 9.1),
    "gan_changes": Planned(3, 7.5),
    "anomalies_by_class": Planned(3, 6.9),
    "generation_by_class": Planned(3, 5.1),
    "inpainting_by_class": Planned(3, 1.8),
    "imputation_by_table": Planned(5, 0.6),
}
