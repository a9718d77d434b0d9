"""How the package is built: its size, its order, what a reader of a step reads.

Printed are the lines of every folder, the modules at the top level, the files on the
path to `CFEBM.train_step`, the circles of imports, and the imports that run upwards.
Imports are read from the source, those inside functions included, so that no late
import hides a circle. The exit status is 1 if a circle or an upward import is found.

    python benchmarks/structure.py
"""

import argparse
import ast
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]

#: Folders and top-level modules, lowest first: each may import those on lines above it.
#: Those that share a line stand side by side.
ORDER = """
    utils
    backend
    layers
    network
    sampling
    datasets
    configs tasks
    evaluation visualization
    ladder
    model
    callbacks
    growing
    runs
    serving
    cli assets
    __init__
    __main__
"""
RANKS = {
    unit: rank for rank, row in enumerate(ORDER.split("\n")) for unit in row.split()
}


def modules_of(package):
    """Returns the files of a package's folder by the dotted names of the modules."""
    files = sorted(package.rglob("*.py"))
    parts = [file.relative_to(package.parent).with_suffix("").parts for file in files]
    return {
        ".".join(part[:-1] if part[-1] == "__init__" else part): file
        for part, file in zip(parts, files, strict=True)
    }


def imports_of(name, file, modules):
    """Returns the modules of the package that one of them imports."""
    found = set()
    here = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
    stub = file.with_suffix(".pyi")  # names that a package loads when they are used
    sources = [source for source in (file, stub) if source.exists()]
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parents = here[: len(here) - node.level + 1] if node.level else []
                origin = ".".join([*parents, *filter(None, [node.module])])
                for alias in node.names:
                    member = f"{origin}.{alias.name}"
                    found.add(member if member in modules else origin)
    return {module for module in found if module in modules} - {name}


def unit_of(module, package):
    """Returns the folder, or the top-level module, that a module belongs to."""
    inner = module.removeprefix(package).lstrip(".")
    return inner.split(".")[0] or "__init__"


def reachable(start, graph):
    """Returns everything that can be reached from a node, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def circles_of(graph):
    """Returns the sets of nodes that reach each other, each as a sorted list."""
    reach = {node: reachable(node, graph) for node in graph}
    groups = {
        frozenset(other for other in reach[node] if node in reach[other])
        for node in graph
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def upward_of(graph, package):
    """Returns the imports of what stands higher, or has no place in the order."""
    highest = len(RANKS)
    ranks = {node: RANKS.get(unit_of(node, package), highest) for node in graph}
    return sorted(
        (node, other)
        for node, imported in graph.items()
        for other in imported
        if ranks[other] > ranks[node] or ranks[other] == highest
    )


def units_of(graph, package):
    """Returns the graph of the folders and top-level modules."""
    units = {unit_of(node, package): set() for node in graph}
    for node, imported in graph.items():
        unit = unit_of(node, package)
        units[unit] |= {unit_of(other, package) for other in imported} - {unit}
    return units


def definitions_of(file):
    """Returns the functions of a module, and methods as `Class.method`, as nodes."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, functions):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            for method in filter(lambda n: isinstance(n, functions), node.body):
                found[f"{node.name}.{method.name}"] = method
    return found


def read_for(start, modules, graph):
    """Returns what has to be read to follow a method to its end.

    A name in a function is taken for every function or method of that name in its
    module, in those that it imports, and in those that these hand on: too many rather
    than too few. Of the two backends, a reader takes one.

    Args:
        start: pair of a module and `Class.method`.
        modules: files by module.
        graph: imported modules by module.

    Returns:
        Dict of module → lines of it that are read.
    """
    modules = {name: file for name, file in modules.items() if "jax" not in name}
    definitions = {name: definitions_of(file) for name, file in modules.items()}
    read, waiting = {start}, [start]
    while waiting:
        module, name = waiting.pop()
        used = {
            node.id if isinstance(node, ast.Name) else node.attr
            for node in ast.walk(definitions[module][name])
            if isinstance(node, (ast.Name, ast.Attribute))
        }
        near = {module, *graph[module]}
        packages = {m for m in near if modules.get(m, module).stem == "__init__"}
        near |= {other for package in packages for other in graph[package]}
        for other in near & set(modules):
            for found in definitions[other]:
                place = (other, found)
                if found.split(".")[-1] in used and place not in read:
                    read.add(place)
                    waiting.append(place)
    lines = {}
    for module, name in read:
        node = definitions[module][name]
        lines[module] = lines.get(module, 0) + node.end_lineno - node.lineno + 1
    return lines


def show(title, lines):
    print(f"\n{title}", *(f"  {line}" for line in lines), sep="\n")


def main(arguments=None):
    """Prints the report; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--package", type=pathlib.Path, default=ROOT / "keras_cfebm")
    package = parser.parse_args(arguments).package
    name, modules = package.name, modules_of(package)
    sizes = {
        module: len(file.read_text(encoding="utf-8").splitlines())
        for module, file in modules.items()
    }
    graph = {
        module: imports_of(module, file, modules) for module, file in modules.items()
    }
    units = units_of(graph, name)

    by_unit = {unit: [] for unit in sorted(units)}
    for module, size in sizes.items():
        by_unit[unit_of(module, name)].append(size)
    rows = [f"{u:<16}{len(s):>4} files{sum(s):>7} lines" for u, s in by_unit.items()]
    show(f"{sum(sizes.values())} lines in {len(sizes)} files", rows)

    top = [unit for unit in sorted(units) if (package / f"{unit}.py").exists()]
    show(f"{len(top)} modules at the top level", top)

    start = f"{name}.model"
    imported = reachable(start, graph)
    total = sum(sizes[module] for module in imported)
    show(f"{len(imported)} files, {total} lines are imported by {start}", [])
    if "CFEBM.train_step" in definitions_of(modules[start]):
        path = read_for((start, "CFEBM.train_step"), modules, graph)
        rows = [f"{path[m]:>5} of {sizes[m]:>4}  {m}" for m in sorted(path)]
        total = sum(path.values())
        show(f"{len(path)} files, {total} lines on the path to train_step", rows)

    circles = circles_of(graph) + circles_of(units)
    show(f"{len(circles)} circles of imports", map(" ↔ ".join, circles))
    upward = upward_of(graph, name)
    show(f"{len(upward)} imports that run upwards", map(" → ".join, upward))
    return 1 if circles or upward else 0


if __name__ == "__main__":
    sys.exit(main())
