"""A judge for each claim: reads the records in a folder and applies the claim's rule to them."""

from vaebook.experiments._judges._verdict import Effect, Outcome, Verdict
from vaebook.experiments._judges.another_distribution import another_distribution
from vaebook.experiments._judges.better_images import better_images
from vaebook.experiments._judges.conflict import conflict
from vaebook.experiments._judges.forced_gaussian import forced_gaussian
from vaebook.experiments._judges.kl_term import kl_term
from vaebook.experiments._judges.known_distribution import known_distribution
from vaebook.experiments._judges.no_need_for_normal import no_need_for_normal
from vaebook.experiments._judges.possible_codes import possible_codes

__all__ = [
    "Effect",
    "Outcome",
    "Verdict",
    "another_distribution",
    "better_images",
    "conflict",
    "forced_gaussian",
    "kl_term",
    "known_distribution",
    "no_need_for_normal",
    "possible_codes",
]
