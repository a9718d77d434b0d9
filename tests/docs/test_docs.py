"""The documentation: links and pictures exist, and no public name is left out.

Nothing of the package is imported: what is public is read off its source.
"""

import ast
import functools
import pathlib
import re
import textwrap

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "keras_cfebm"
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("saved_models/*/README.md"),
    ROOT / "tutorials" / "README.md",
]
LINK = re.compile(r"\]\(([^)\s]+)\)")
DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)
#: For those who change the package; `backend` has a page all the same.
NOT_PUBLIC = {"assets", "backend", "cli", "utils"}


def named(path):
    return str(path.relative_to(ROOT))


def read(path):
    return path.read_text(encoding="utf-8")


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def slugs(page):
    """The anchors of a page's headings, which GitHub and MkDocs make alike."""
    titles = re.findall(r"^#+ (.+)$", without_code(read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t).lower().replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page):
    for link in LINK.findall(without_code(read(page))):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT) and target.exists(), link
        if anchor:
            assert anchor in slugs(target), link


def test_every_picture_of_the_documentation_is_shown():
    shown = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in LINK.findall(read(page))
    }
    assert set((ROOT / "docs" / "images").iterdir()) <= shown


def test_the_readme_can_be_read_in_two_minutes():
    assert len(read(ROOT / "README.md").splitlines()) <= 200


def test_the_training_step_is_quoted_word_for_word():
    quoted = re.findall(
        r"```python\n(.*?)```", read(ROOT / "docs/method.md"), re.DOTALL
    )
    assert quoted
    for code in quoted:
        assert textwrap.indent(code, "    ") in read(PACKAGE / "model.py")


def test_the_address_of_the_repository_is_in_one_place():
    version = read(PACKAGE / "utils" / "version.py")
    address = re.search(r'^REPOSITORY_URL = "https://(.+)"$', version, re.MULTILINE)[1]
    others = [*PAGES, ROOT / "mkdocs.yml", ROOT / "CITATION.cff", ROOT / "setup.py"]
    assert [named(path) for path in others if address in read(path)] == []


# --- The API reference --------------------------------------------------------------


@functools.cache
def source(module):
    """Path and syntax tree of a module or package; None if there is no such module."""
    place = ROOT / module.replace(".", "/")
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path, ast.parse(read(path))
    return None


def assigned(statement):
    """The name that a statement gives a value to, or None."""
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0])
    return (
        ast.unparse(statement.target) if isinstance(statement, ast.AnnAssign) else None
    )


def exported(package):
    """The names of `__all__`, or those that a stub beside the package imports."""
    path, tree = source(package)
    stub = path.with_suffix(".pyi")
    if stub.is_file():
        imports = [
            s for s in ast.parse(read(stub)).body if isinstance(s, ast.ImportFrom)
        ]
        return [alias.name for statement in imports for alias in statement.names]
    for statement in tree.body:
        if assigned(statement) == "__all__" and isinstance(statement.value, ast.List):
            return ast.literal_eval(statement.value)
    return None


def is_documented(module, name):
    """Whether a name of a module has a docstring, or as a constant a `#:` comment."""
    path, tree = source(module) or (None, ast.Module([]))
    for statement in tree.body:
        if getattr(statement, "name", None) == name:
            return bool(ast.get_docstring(statement))
        if assigned(statement) == name:
            return read(path).splitlines()[statement.lineno - 2].startswith("#:")
        aliases = getattr(statement, "names", [])
        if isinstance(statement, ast.ImportFrom) and name in {a.name for a in aliases}:
            return is_documented(statement.module, name)
    return False


def shown(directive):
    """Names that `::: directive` puts on a page."""
    if source(directive) is None:
        module, _, name = directive.rpartition(".")
        names = [name]
    else:
        module, (_, tree) = directive, source(directive)
        names = exported(directive)
        if names is None:
            names = [getattr(s, "name", assigned(s)) or "_" for s in tree.body]
        # A module of the same name hides a function, which needs its own directive.
        names = [n for n in names if n[0] != "_" and not source(f"{module}.{n}")]
    return {name for name in names if is_documented(module, name)}


DIRECTIVES = {
    directive
    for page in ROOT.glob("docs/api/*.md")
    for directive in DIRECTIVE.findall(read(page))
}
PUBLIC = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in PACKAGE.rglob("__init__.py")
    if path.parent.name not in NOT_PUBLIC
)


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_on_a_page(package):
    names = set(exported(package) or ())
    pages = set().union(*map(shown, DIRECTIVES))
    packages = {name for name in names if f"{package}.{name}" in DIRECTIVES}
    assert names - pages - packages - {"__version__"} == set()


def test_every_module_at_the_top_has_a_page():
    modules = {f"keras_cfebm.{path.stem}" for path in PACKAGE.glob("[a-z]*.py")}
    assert modules <= DIRECTIVES


def test_every_page_of_the_reference_is_in_the_menu():
    menu = read(ROOT / "mkdocs.yml")
    for page in ROOT.glob("docs/**/*.md"):
        assert f" {page.relative_to(ROOT / 'docs')}" in menu
