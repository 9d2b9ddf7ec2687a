"""The claims, split into propositions that are true or false, each with a rule fixed beforehand.

``proposition`` says what one is, ``answers`` how intervals become an answer, ``worlds`` makes up
tables in which the answer is known, ``power`` counts how often a rule gives it. A file for each
claim holds its propositions. ``python -m vaebook.experiments.propositions`` prints the table of
margins, numbers of seeds, and the chances of each answer.

The verdicts that the book prints now are in ``claims``; these rules judge the records to come, and
until the first of them is made they may still be changed. Not in them yet: the budget × 10,
frontiers of truncation, other thresholds of what counts as a dog in C5 and C6, other networks in
C5.
"""

from vaebook.experiments.propositions.proposition import Decision, Finding, Proposition, World
from vaebook.experiments.propositions.registry import PROPOSITIONS

__all__ = ["PROPOSITIONS", "Decision", "Finding", "Proposition", "World"]
