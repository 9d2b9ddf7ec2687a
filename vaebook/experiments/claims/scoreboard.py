"""The eight claims on trial, and the verdicts that the records give."""

from pathlib import Path

import pandas as pd

from vaebook.experiments.claims import (
    c1_kl_term,
    c2_no_need_for_normal,
    c3_forced_gaussian,
    c4_known_distribution,
    c5_another_distribution,
    c6_possible_codes,
    c7_conflict,
    c8_better_images,
)
from vaebook.experiments.claims.claim import Claim, Verdict
from vaebook.experiments.record.load import load_provenance

NOT_TRIED = "not tried yet"
CLAIMS: tuple[Claim, ...] = (
    c1_kl_term.CLAIM,
    c2_no_need_for_normal.CLAIM,
    c3_forced_gaussian.CLAIM,
    c4_known_distribution.CLAIM,
    c5_another_distribution.CLAIM,
    c6_possible_codes.CLAIM,
    c7_conflict.CLAIM,
    c8_better_images.CLAIM,
)


def verdict(name: str, folder: Path | None = None) -> Verdict:
    """The verdict on a claim, computed from the records.

    Args:
        name: ``"C1"`` to ``"C8"``.
        folder: where the records lie; ``book/results`` by default.

    Raises:
        ValueError: if there is no such claim, or its chapters are still to come.
    """
    for claim in CLAIMS:
        if claim.name == name:
            if claim.judge is None:
                raise ValueError(f"claim {name} has not been tried yet.")
            return claim.judge(folder)
    raise ValueError(f"no claim {name!r}; expected one of {', '.join(c.name for c in CLAIMS)}.")


def scoreboard(folder: Path | None = None) -> pd.DataFrame:
    """All claims with what the records say: the table of the first page and of the last chapter.

    Args:
        folder: where the records lie; ``book/results`` by default.

    Returns:
        A row per claim, indexed by its name: ``claim``, ``verdict`` (``"not tried yet"`` without a
        judge), ``sentence``, ``number`` and ``review`` for a card, ``evidence``, ``chapters``,
        ``rule``, and ``commands`` that make its records anew.
    """
    rows = []
    for claim in CLAIMS:
        outcome, evidence, sentence, number = NOT_TRIED, "", "", ""
        if claim.judge is not None:
            outcome, evidence, _, sentence, number = claim.judge(folder)
        commands = [load_provenance(name, folder)["command"] for name in claim.records]
        rows.append(
            {
                "claim": claim.text,
                "verdict": outcome,
                "sentence": sentence,
                "number": number,
                "review": claim.review,
                "evidence": evidence,
                "chapters": claim.chapters,
                "rule": claim.rule,
                "commands": tuple(commands),
            }
        )
    return pd.DataFrame(rows, index=[claim.name for claim in CLAIMS])
