"""Corrupt one stored digit of a chapter: running it again must notice."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def corrupt_a_digit(notebook: Path) -> Iterator[str]:
    """Change the first digit of printed text that the notebook stores, inside the block.

    Yields:
        The line as stored and as changed.

    Raises:
        LookupError: if the notebook stores no digit.
    """
    sound = notebook.read_text(encoding="utf-8")
    content = json.loads(sound)
    change = _change(content)
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    try:
        yield change
    finally:
        notebook.write_text(sound, encoding="utf-8")


def _change(content: dict) -> str:
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            if output.get("name") == "stdout":
                lines = output["text"]
            elif output["output_type"] == "execute_result":
                lines = output["data"].get("text/plain", [])
            else:
                continue
            for place, line in enumerate(lines):
                if isinstance(line, str) and (found := re.search(r"\d", line)):
                    digit = str((int(found[0]) + 1) % 10)
                    lines[place] = line[: found.start()] + digit + line[found.end() :]
                    return f"{line.strip()} → {lines[place].strip()}"
    raise LookupError("the notebook stores no digit in printed text")
