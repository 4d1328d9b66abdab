"""What may import what: downwards only, and no two packages each other."""

import ast
from pathlib import Path

import pytest

import neardup

ROOT = Path(neardup.__file__).parent
# Lowest first; a package may import those of rows before its own, and of its own row where that leads to no circle.
ROWS = (
    ("errors", "text", "durable", "reading", "scratch", "interrupts", "packages"),
    ("search", "lsh", "images", "metadata", "sources"),
    ("matching", "index", "embedding"),
    ("groups", "prepare", "isolation"),
    ("jobs", "actions"),
    ("distributed",),
    ("report", "review", "output", "evaluation", "training"),
    ("cli",),
)


def imported(path):
    """(package, module) for every import of our own in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            below = node.module == "neardup"
            names = [f"neardup.{alias.name}" for alias in node.names] if below else [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("neardup."))


def edges():
    """Of each package those that it imports, as written anywhere in it."""
    found = {}
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).with_suffix("").parts[0]
        if here not in ("__init__", "__main__"):  # the front doors
            found.setdefault(here, set()).update(
                there for there in imported(path) if there not in (here, "__version__")
            )
    return found


def test_imports_go_downwards():
    rows = {package: row for row, packages in enumerate(ROWS) for package in packages}
    found = edges()
    assert found.keys() == rows.keys(), "a package that has no row, or a row without its package"
    upwards = [(here, there) for here, below in found.items() for there in below if rows[there] > rows[here]]
    assert not upwards


def test_no_packages_import_each_other():
    left = edges()
    while free := {package for package, below in left.items() if not below & left.keys()}:
        left = {package: below for package, below in left.items() if package not in free}
    assert not left, "these lead back to themselves"


@pytest.mark.parametrize(
    ("package", "places"),
    [
        ("click", {"cli"}),
        ("matplotlib", {"output"}),
        ("flask", {"review"}),
        ("sqlite3", {"index"}),
        ("ray", {"distributed"}),
    ],
)
def test_each_library_has_its_place(package, places):
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert here in places or package not in [name.partition(".")[0] for name in names], f"{path}: {package}"
