"""Builds the notebooks from their sources, tutorials/NN_name.py.

    python tutorials/build.py                      run all, write all
    python tutorials/build.py 02_generation        only this one
    python tutorials/build.py --text               new text and badges, same outputs
    python tutorials/build.py --reduced            run as CI does, write nothing
    python tutorials/build.py --check              say which notebooks are out of date

The sources are what to edit: jupytext's percent format, which diffs as code does. A run
measures the time that the top cell of a notebook states, and keeps it in times.json: it
has to be the only work of the machine.
"""

import argparse
import datetime
import json
import os
import pathlib
import sys

import nbformat

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from tutorials import notebooks

README = notebooks.FOLDER / "README.md"
_TABLE = ("<!-- table: written by build.py -->\n", "<!-- end of table -->")


def parse(arguments=None):
    parser = argparse.ArgumentParser(description="Builds the tutorials' notebooks.")
    known = [source.stem for source in _all()]
    parser.add_argument("names", nargs="*", metavar="NN_name", help="default: all")
    parser.add_argument("--text", action="store_true", help="do not run; keep outputs")
    parser.add_argument(
        "--reduced", action="store_true", help="run small, do not write"
    )
    parser.add_argument("--check", action="store_true", help="do not run, do not write")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(known))
    if unknown:
        parser.error(f"expected some of {known}, received {unknown}")
    options.names = options.names or known
    return options


def _all():
    return [*notebooks.sources(), *notebooks.examples()]


def written(source):
    """The notebook beside a source, or None."""
    path = source.with_suffix(".ipynb")
    return nbformat.read(path, as_version=4) if path.exists() else None


def up_to_date(source):
    """Whether the notebook beside a source has its cells, badge and installation."""
    notebook = written(source)
    expected = notebooks.assemble(source).cells
    return notebook is not None and (
        [(cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]
        == [(cell.cell_type, cell.source, cell.metadata) for cell in expected]
    )


def run(source):
    """Runs a notebook with all its parameters, and keeps the time it took."""
    notebook = notebooks.assemble(source)
    took = notebooks.execute(notebook)
    times = notebooks.read_json(notebooks.TIMES)
    times[source.stem] = {
        **{name: round(minutes, 2) for name, minutes in took.items()},
        "cores": len(os.sched_getaffinity(0)),
        "date": datetime.date.today().isoformat(),
    }
    text = json.dumps(times, indent=2, sort_keys=True) + "\n"
    notebooks.TIMES.write_text(text, encoding="utf-8")
    notebook.cells[0].source = notebooks.badge(source.stem)
    return notebook


def write(source, notebook):
    notebooks.strip(notebook)
    nbformat.validate(notebook)
    path = source.with_suffix(".ipynb")
    nbformat.write(notebook, path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def table():
    """The tutorials, their titles and times, as Markdown."""
    times = notebooks.read_json(notebooks.TIMES)
    lines = ["| notebook | title | time |", "|---|---|--:|"]
    for source in _all():
        took = times.get(source.stem)
        minutes = notebooks.minutes_on(took) if took else ""
        link = f"[{source.stem}]({source.stem}.ipynb)"
        lines.append(f"| {link} | {notebooks.title(source)} | {minutes} |")
    return "\n".join(lines) + "\n"


def write_table():
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(_TABLE[0])
    _, after = rest.split(_TABLE[1])
    README.write_text(
        before + _TABLE[0] + table() + _TABLE[1] + after, encoding="utf-8"
    )


def main(arguments=None):
    options = parse(arguments)
    chosen = [s for s in _all() if s.stem in options.names]
    if options.check:
        stale = [source.stem for source in chosen if not up_to_date(source)]
        return f"Out of date: {', '.join(stale)}" if stale else None
    for source in chosen:
        if options.reduced:
            notebook = notebooks.assemble(source)
            values = notebooks.read_json(notebooks.REDUCED).get(source.stem, {})
            notebooks.set_parameters(notebook, values)
            took = notebooks.execute(notebook)
            print(source.stem, {key: round(value, 2) for key, value in took.items()})
            continue
        if options.text:
            notebook = notebooks.assemble(source)
            notebooks.keep_outputs(notebook, written(source))
        else:
            notebook = run(source)
        write(source, notebook)
    if not options.reduced:
        write_table()
    return None


if __name__ == "__main__":
    sys.exit(main())
