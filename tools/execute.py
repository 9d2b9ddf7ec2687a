"""Run chapters from top to bottom and store their outputs.

    python tools/execute.py                      every chapter of _toc.yml, in order
    python tools/execute.py book/06-vae.ipynb    one chapter
    python tools/execute.py --check              run nothing, examine what is stored

A chapter is written only if every cell ran without error, warning or display update, and it is
written in one step. What is stored depends on the results alone: times and version numbers are left
out, cell ids are kept, and an image whose pixels did not change keeps its bytes.
"""

import argparse
import base64
import copy
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("TQDM_DISABLE", "1")  # a progress bar is no output of a chapter
CELL_SECONDS = 300  # no cell of this book should come near
FOLDED = {"hide-input", "hide-cell"}  # tags of code that is closed until a reader opens it
UNSEEN = 16  # how far a colour may be off, in a scale of 255, in pixels on the edges of lines
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}|id=\W*[0-9a-f]{8}-[0-9a-f]{4}")


def chapters(root: Path = ROOT) -> list[Path]:
    """The notebooks of the table of contents, in the reader's order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"]]
    for part in toc.get("parts", [toc]):
        names += [str(chapter["file"]) for chapter in part["chapters"]]
    found = [root / f"{name.removesuffix('.ipynb')}.ipynb" for name in names]
    return [path for path in found if path.exists()]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that hold code, less the empty ones."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def stored_problems(notebook: NotebookNode) -> list[str]:
    """What is wrong with the stored outputs; empty if nothing is."""
    problems = []
    for expected, cell in enumerate(code_cells(notebook), start=1):
        where = f"cell [{cell.execution_count}] {cell.source.strip().splitlines()[0][:60]!r}"
        if cell.execution_count != expected:
            problems.append(f"{where}: execution count is not {expected}; run the whole chapter")
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"{where}: stored error {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                problems.append(f"{where}: wrote to stderr: {output.text.strip()[:200]}")
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/svg+xml" in data:
                problems.append(f"{where}: SVG output is never the same twice; use PNG")
            text = "".join(str(data.get(kind, "")) for kind in ("text/plain", "text/html"))
            if ADDRESS.search(text):
                problems.append(f"{where}: prints a memory address or a random id: {text[:80]}")
    return problems


class ChapterClient(NotebookClient):
    """A notebook client that notes messages after which stored outputs cannot be compared."""

    def __init__(self, notebook: NotebookNode, folder: Path) -> None:
        super().__init__(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
        self.updates: list[str] = []

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Handle a kernel message as usual, and note display updates."""
        kind = msg["header"]["msg_type"]
        transient = msg.get("content", {}).get("transient") or {}
        if kind in ("update_display_data", "clear_output") or "display_id" in transient:
            self.updates.append(f"cell {cell_index}: {kind} cannot be compared; print at the end")
        return super().process_message(msg, cell, cell_index)


def pixels(png: str) -> Image.Image:
    """Decode an ``image/png`` output."""
    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")


def same_pixels(first: Image.Image, second: Image.Image) -> bool:
    """Whether two decoded images show exactly the same."""
    if first.size != second.size:
        return False
    return ImageChops.difference(first, second).getbbox(alpha_only=False) is None


def few_colours(image: Image.Image) -> Image.Image:
    """The image in 256 colours if nobody would see the difference, else as it is.

    The soft edges of text and lines bring a plot thousands of colours and three times the bytes.
    """
    if image.getchannel("A").getextrema() != (255, 255) or image.getcolors(256):
        return image
    palette = image.convert("RGB").quantize(
        256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    reduced = palette.convert("RGBA")
    worst = np.ptp(np.stack([np.asarray(reduced), np.asarray(image)]), axis=0).max()
    return reduced if worst <= UNSEEN else image


def compact(image: Image.Image) -> str:
    """Encode an image without loss, without metadata, in few bytes."""
    opaque = image.getchannel("A").getextrema() == (255, 255)
    candidates = [image.convert("RGB") if opaque else image]
    if opaque and image.getcolors(256):
        palette = candidates[0].quantize(256, dither=Image.Dither.NONE)
        if same_pixels(palette.convert("RGBA"), image):
            candidates.append(palette)
    encoded = []
    for candidate in candidates:
        buffer = io.BytesIO()
        candidate.save(buffer, format="png", optimize=True)
        encoded.append(buffer.getvalue())
    return base64.b64encode(min(encoded, key=len)).decode("ascii")


def normalise(notebook: NotebookNode, before: NotebookNode) -> None:
    """Leave in the notebook what depends on results only. Changes ``notebook`` in place."""
    notebook.metadata = nbformat.from_dict(
        {**METADATA, **{k: v for k, v in before.metadata.items() if k not in METADATA}}
    )
    stored = {cell.get("id"): cell.get("outputs", []) for cell in before.cells}
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime"):
            cell.metadata.pop(key, None)
        for index, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {})
            if "image/png" not in data:
                continue
            image = few_colours(pixels(data["image/png"]))
            old = stored.get(cell.get("id"), [])
            old_png = old[index].get("data", {}).get("image/png") if index < len(old) else None
            if old_png and same_pixels(image, pixels(old_png)):
                data["image/png"] = old_png
            else:
                data["image/png"] = compact(image)
            output.metadata = NotebookNode()


def write(notebook: NotebookNode, path: Path) -> bool:
    """Store a notebook in one step; say whether the file changed."""
    text = nbformat.writes(notebook)
    text = text if text.endswith("\n") else text + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if path.exists():
            os.chmod(temporary, path.stat().st_mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


def execute(path: Path) -> tuple[list[str], bool]:
    """Run one chapter and store it.

    Returns:
        The problems, for which nothing was written if there are any, and whether the file changed.
    """
    before = nbformat.read(path, as_version=4)
    notebook = copy.deepcopy(before)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = ChapterClient(notebook, path.parent)
    try:
        client.execute()
    except CellExecutionError as error:
        return [str(error)], False
    normalise(notebook, before)
    problems = stored_problems(notebook) + client.updates
    if problems:
        return problems, False
    nbformat.validate(notebook)
    return [], write(notebook, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is the number of chapters with problems."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: every chapter")
    parser.add_argument("--check", action="store_true", help="examine what is stored, run nothing")
    parser.add_argument("--report", type=Path, help="write the seconds of each chapter as JSON")
    options = parser.parse_args(arguments)

    failed, seconds = 0, {}
    for path in options.notebooks or chapters():
        start = time.perf_counter()
        if options.check:
            problems, changed = stored_problems(nbformat.read(path, as_version=4)), False
        else:
            problems, changed = execute(path)
        seconds[path.name] = round(time.perf_counter() - start, 1)
        failed += bool(problems)
        state = "FAILED" if problems else "changed" if changed else "unchanged"
        print(f"{path.name:32} {seconds[path.name]:7.1f} s   {state}", flush=True)
        for problem in problems:
            print(f"    {problem}", file=sys.stderr)
    print(f"{'total':32} {sum(seconds.values()):7.1f} s")
    if options.report:
        options.report.write_text(json.dumps(seconds, indent=2) + "\n", encoding="utf-8")
    return failed


if __name__ == "__main__":
    sys.exit(main())
