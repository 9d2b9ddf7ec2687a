"""``python -m vaebook.experiments NAME --seeds 5`` records an experiment.

``all`` are those whose records the book has; with ``--pilot`` those of the trial to come.
"""

import argparse
from pathlib import Path

from vaebook.experiments import available, make_record, results_folder
from vaebook.experiments.registry import TRIAL
from vaebook.training.files import check_writable


def main() -> None:
    """Parse the command line and record."""
    parser = argparse.ArgumentParser(prog="python -m vaebook.experiments", description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*available(), "all"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to N − 1 (default 5)")
    parser.add_argument("--folder", type=Path, help="where to write (default book/results)")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time (default 1)")
    parser.add_argument("--pilot", action="store_true", help="seeds 1000 and above, for a trial")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds is {arguments.seeds}; expected at least 1")
    if arguments.jobs < 1:
        parser.error(f"--jobs is {arguments.jobs}; expected at least 1")
    every = [name for name in available() if (name in TRIAL) == arguments.pilot]
    names = every if "all" in arguments.names else arguments.names
    try:
        folder = arguments.folder or results_folder() / ("pilots" if arguments.pilot else "")
        check_writable(folder / f"{names[0]}.csv")
    except OSError as error:
        parser.error(error.strerror or str(error))
    try:
        for name in names:
            path = make_record(
                name, arguments.seeds, folder, jobs=arguments.jobs, pilot=arguments.pilot
            )
            print(f"wrote {path}")
    except KeyboardInterrupt:
        parser.exit(130, "stopped; the same command goes on from the seeds that are done\n")


if __name__ == "__main__":
    main()
