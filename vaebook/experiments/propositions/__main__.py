"""Print the protocol: margins, numbers of seeds and pictures, the chance of each answer, cost.

python -m vaebook.experiments.propositions             every proposition
python -m vaebook.experiments.propositions C5 C6b      some
python -m vaebook.experiments.propositions --write     and keep the chances for the book
"""

import argparse
import os
import sys

import pandas as pd

from vaebook.experiments.propositions.power import TRIES, chances
from vaebook.experiments.propositions.proposition import ANSWERS, Proposition
from vaebook.experiments.propositions.protocol import protocol_file, write_protocol
from vaebook.experiments.propositions.registry import BESIDE, PROPOSITIONS

PIPE_CLOSED = 141  # as a shell reports a program that the signal of a closed pipe has ended


def main() -> int:
    """Print them; 1 if a rule does not give in its worlds what it must."""
    known = [proposition.name for proposition in PROPOSITIONS]
    parser = argparse.ArgumentParser(prog="python -m vaebook.experiments.propositions")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(known)}")
    parser.add_argument("--tries", type=int, default=TRIES, help="made-up records for each world")
    parser.add_argument(
        "--write", action="store_true", help="write the chances to book/protocol/chances.csv"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f"no proposition {sorted(unknown)[0]!r}; expected some of {', '.join(known)}")
    if arguments.write:
        if arguments.tries != TRIES:
            parser.error(f"--write keeps {TRIES} tries, not {arguments.tries}; leave --tries out")
        try:
            protocol_file()
        except FileNotFoundError as error:
            parser.error(str(error))
    chosen = [each for each in PROPOSITIONS if not arguments.names or each.name in arguments.names]
    found = []
    for proposition in chosen:
        found.append(chances(proposition, tries=arguments.tries))
        print(described(proposition, found[-1]), end="\n\n", flush=True)
    hours = sum(each.core_hours for each in chosen)
    print(f"in all {hours:.1f} core-hours, as last measured, two side by side", flush=True)
    if chosen == list(PROPOSITIONS):
        beside = sum(each.core_hours for each in BESIDE.values())
        print(f"and {beside:.1f} for what no proposition reads: {', '.join(BESIDE)}", flush=True)
    every = pd.concat(found)
    if arguments.write:
        print(f"wrote {write_protocol(every)}", flush=True)
    return int(not every["good"].all())


def described(proposition: Proposition, found: pd.DataFrame) -> str:
    """A proposition as text, with the chances in each of its worlds."""
    pictures = f", {proposition.num_pictures:,} pictures each" * bool(proposition.num_pictures)
    lines = [
        f"{proposition.name}  {proposition.text}",
        f"     {proposition.measure}",
        f"     margin {proposition.margin:g}: {proposition.reason}",
        f"     {proposition.num_units} {proposition.unit}s{pictures}; "
        f"{proposition.core_hours:.1f} core-hours; record {proposition.table}",
        f"     seen before: {proposition.seen}",
    ]
    for row in found.to_dict("records"):
        shares = ", ".join(f"{answer} {row[answer]:.0%}" for answer in ANSWERS)
        asked = f"{row['wanted']} ≥ {row['at_least']:.0%}"
        mark = "" if row["good"] else "   MISSED"
        lines.append(f"     {row['world']:32} {shares}; asked: {asked}{mark}")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to flush
        sys.exit(PIPE_CLOSED)
