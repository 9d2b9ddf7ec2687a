"""Format the code of the chapters: as the package where it is folded, narrower where it is read.

python tools/format_chapters.py                      every chapter of _toc.yml
python tools/format_chapters.py book/06-vae.ipynb    one chapter
python tools/format_chapters.py --check              change nothing, name what would change
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.execute import FOLDED, chapters, code_cells  # noqa: E402

COLUMNS = {True: 100, False: 76}  # of a folded cell, of a visible one


def formatted(sources: dict[str, str], columns: int) -> dict[str, str]:
    """Pieces of code as ruff writes them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{place}.py" for place, name in enumerate(sources)}
        for name, path in paths.items():
            path.write_text(sources[name] + "\n", encoding="utf-8")
        settings = f"line-length = {columns}\n[format]\nskip-magic-trailing-comma = true\n"
        (Path(folder) / "ruff.toml").write_text(settings, encoding="utf-8")
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", folder], check=True)
        return {name: path.read_text(encoding="utf-8").rstrip() for name, path in paths.items()}


def main() -> int:
    """Format, or look."""
    parser = argparse.ArgumentParser(description="Format the code of the chapters.")
    parser.add_argument("paths", nargs="*", type=Path, help="chapters; all by default")
    parser.add_argument("--check", action="store_true", help="change nothing")
    arguments = parser.parse_args()
    check = arguments.check
    changed = []
    for path in arguments.paths or chapters():
        notebook = nbformat.read(path, as_version=4)
        cells = {str(place): cell for place, cell in enumerate(code_cells(notebook))}
        new: dict[str, str] = {}
        for folded, columns in COLUMNS.items():
            those = {
                name: cell.source
                for name, cell in cells.items()
                if bool(FOLDED & set(cell.metadata.get("tags", []))) == folded
            }
            new |= formatted(those, columns)
        if any(cells[name].source != source for name, source in new.items()):
            changed.append(path)
            for name, source in new.items():
                cells[name].source = source
            if not check:
                nbformat.write(notebook, path)
    for path in changed:
        print(f"{'would format' if check else 'formatted'} {path}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
