"""All propositions, in the order of the claims."""

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
