"""The claims, split into propositions that are true or false, each with a rule fixed beforehand.

``proposition`` says what one is, ``answers`` how intervals become an answer, ``worlds`` makes up
tables in which the answer is known, ``power`` counts how often a rule gives it. A file for each
claim holds its propositions. ``python -m vaebook.experiments.propositions`` prints the table of
margins, numbers of seeds, and the chances of each answer.

The verdicts that the book prints now are in ``claims``; these rules judge the records to come, and
until the first of them is made they may still be changed. What they are not asked under: the budget
× 10, which is shown; one network in C3 and C5, of which the first speaks of every weight, so that
one network refutes it, and the second of at least one prior, so that one network shows it; other
budgets in C2, C3, C5, C6 and C7; other noise of a pixel in C2 and C5. The answer is then one about
the reference model, and the verdict says so.
"""

from vaebook.experiments.propositions.proposition import Decision, Finding, Proposition, World
from vaebook.experiments.propositions.registry import PROPOSITIONS

__all__ = ["PROPOSITIONS", "Decision", "Finding", "Proposition", "World"]
