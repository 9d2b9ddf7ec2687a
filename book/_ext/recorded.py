"""Numbers of the prose that are held against their records, and the page of all records.

    [64 ± 6 %](results/latent_flow.csv "validity | encoder=β = 1e-6 | prior=flow matching")

A link to a record is a number of it (:mod:`recorded_number` reads its title). It is an ordinary
link, so that JupyterLab shows the number, opens the record and shows the title; here the number is
checked when the book is built, and leads to what made the record. A number that differs from its
record is a warning, and warnings are fatal.

    ```{records}
    ```

lists every record by chapter, with the command that makes it.
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from recorded_number import check, records_of
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from vaebook.experiments import EXPERIMENTS, load_provenance

logger = logging.getLogger(__name__)
PAGE = "book/how-each-number-is-made"
RECORD = re.compile(r"(?:[\w./-]*/)?results/(?P<name>\w+)\.csv")


def results_of(env: BuildEnvironment) -> Path:
    """The folder of the records."""
    return Path(env.srcdir) / "book" / "results"


def anchor_of(name: str) -> str:
    """Where the page of all records tells of one."""
    return f"record-{name.replace('_', '-')}"


class HoldNumbers(SphinxTransform):
    """Check each link to a record, and lead it to what made the record."""

    default_priority = 5  # before links to files become downloads

    def apply(self, **kwargs: Any) -> None:
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for link in list(self.document.findall(kind)):
                found = RECORD.fullmatch(link.get("reftarget", ""))
                if found and link.get("reftype") == "myst":
                    link.replace_self(self.held(link, found["name"]))

    def held(self, link: nodes.Element, name: str) -> nodes.Node:
        """The number as a page shows it."""
        text, title = link.astext(), link.get("title", "")
        results = results_of(self.env)
        try:
            if not title:
                raise ValueError('expected [TEXT](results/RECORD.csv "COLUMN | COLUMN=VALUE")')
            if Path(self.env.relfn2path(link["reftarget"])[1]).parent != results:
                raise ValueError(f"{link['reftarget']} is not in {results}")
            check(text, name, title, results)
        except ValueError as error:
            logger.warning("recorded: %r (%s): %s", text, title, error, location=link)
            return nodes.Text(text)
        names = records_of(name, title)
        for each in names:
            self.env.note_dependency(str(results / f"{each}.csv"))
        commands = "; ".join(load_provenance(each, results)["command"] for each in names)
        page = self.app.builder.get_relative_uri(self.env.docname, PAGE)
        return nodes.reference(
            "",
            text.replace(" ", "\N{NO-BREAK SPACE}"),
            internal=True,
            refuri=f"{page}#{anchor_of(name)}",
            reftitle=f"{name}: {title}. Made by {commands}",
            classes=["recorded"],
        )


class Records(SphinxDirective):
    """See the module."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        chapters: dict[str, list[str]] = defaultdict(list)
        for name, experiment in EXPERIMENTS.items():
            if not (results_of(self.env) / f"{name}.json").is_file():
                continue  # not recorded yet
            chapters[experiment.module.split(".")[2].partition("_")[0]].append(name)
        return [self.chapter(label, names) for label, names in chapters.items()]

    def chapter(self, label: str, names: list[str]) -> nodes.section:
        """The records of a chapter, which has this label: "ch02"."""
        title = f"Chapter {int(label[2:])}"
        link = addnodes.pending_xref(
            "",
            nodes.inline("", title),
            refdomain="std",
            reftype="ref",
            reftarget=label,
            refdoc=self.env.docname,
            refexplicit=False,
            refwarn=True,
        )
        section = nodes.section("", nodes.title("", title), ids=[f"records-{label}"])
        section += nodes.paragraph("", "", link)
        section += [self.record(name) for name in names]
        return section

    def record(self, name: str) -> nodes.section:
        """What made a record."""
        results = results_of(self.env)
        self.env.note_dependency(str(results / f"{name}.json"))
        made = load_provenance(name, results)
        section = nodes.section("", nodes.title("", name), ids=[anchor_of(name)])
        section += nodes.paragraph("", made["description"])
        section += nodes.literal_block("", made["command"], language="console")
        seconds = ", ".join(f"{each:,.0f}" for each in made["seconds_per_seed"])
        versions = made["versions"]
        table = addnodes.download_reference(
            "",
            "",
            nodes.literal("", f"book/results/{name}.csv"),
            refdoc=self.env.docname,
            reftarget=f"results/{name}.csv",
        )
        others = [f"book/results/{each}" for each in made["sha256"] if each != f"{name}.csv"]
        files: list[nodes.Node] = [nodes.Text("Kept in "), table]
        for each in others:
            files += [nodes.Text(" and " if each == others[-1] else ", "), nodes.literal("", each)]
        on = made["machine"].replace(" 1 threads", " 1 thread")
        with_ = f"with Python {versions['python']} and PyTorch {versions['torch']}"
        items: list[list[nodes.Node]] = [
            [nodes.Text(f"{made['seeds']} seeds, of {seconds} seconds")],
            [nodes.Text(f"{made['finished']}, on {on}, {with_}")],
            files,
        ]
        section += nodes.bullet_list(
            "", *(nodes.list_item("", nodes.paragraph("", "", *item)) for item in items)
        )
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(HoldNumbers)
    app.add_directive("records", Records)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
