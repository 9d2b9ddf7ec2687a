"""Print the protocol: margins, numbers of seeds and pictures, the chance of each answer, cost.

python -m vaebook.experiments.propositions             every proposition
python -m vaebook.experiments.propositions C5 C6b      some
"""

import argparse
import sys

from vaebook.experiments.propositions.power import TRIES, chances
from vaebook.experiments.propositions.proposition import ANSWERS
from vaebook.experiments.propositions.registry import PROPOSITIONS


def main() -> int:
    """Print them; 1 if a rule does not give in its worlds what it must."""
    known = [proposition.name for proposition in PROPOSITIONS]
    parser = argparse.ArgumentParser(prog="python -m vaebook.experiments.propositions")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(known)}")
    parser.add_argument("--tries", type=int, default=TRIES, help="made-up records for each world")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f"no proposition {sorted(unknown)[0]!r}; expected some of {', '.join(known)}")
    good, hours = True, 0.0
    for proposition in PROPOSITIONS:
        if arguments.names and proposition.name not in arguments.names:
            continue
        cost = proposition.num_units * proposition.core_minutes / 60
        hours += cost
        pictures = f", {proposition.num_pictures:,} pictures each" * bool(proposition.num_pictures)
        print(f"{proposition.name}  {proposition.text}")
        print(f"     {proposition.measure}")
        print(f"     margin {proposition.margin:g}: {proposition.reason}")
        print(
            f"     {proposition.num_units} {proposition.unit}s{pictures}; {cost:.1f} core-hours; "
            f"record {proposition.table}"
        )
        print(f"     seen before: {proposition.seen}")
        for row in chances(proposition, tries=arguments.tries).to_dict("records"):
            shares = ", ".join(f"{answer} {row[answer]:.0%}" for answer in ANSWERS)
            asked = f"{row['wanted']} ≥ {row['at_least']:.0%}"
            mark = "" if row["good"] else "   MISSED"
            print(f"     {row['world']:32} {shares}; asked: {asked}{mark}")
            good &= bool(row["good"])
        print()
    print(f"in all {hours:.1f} core-hours, estimated from the records that stand")
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
