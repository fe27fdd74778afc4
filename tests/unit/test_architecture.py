"""The rooms of the package: each imports only those listed before it, and no two modules import each other."""

import ast
import graphlib
from pathlib import Path

import hwflow

ROOT = Path(hwflow.__file__).parent

# The order of docs/architecture.md.
ROOMS = (
    "errors", "version", "resources", "freeing", "optional", "progress", "show", "doctor", "fixed", "wide", "files",
    "codes", "graph", "faults", "memory", "reference", "data", "frontends", "models", "hardening", "cost", "sim",
    "firmware", "rtl", "backend", "emulation", "executors", "folders", "stages", "float_study", "campaign", "report",
    "paper", "cli", "__init__", "__main__",
)  # fmt: skip

MODULES = {
    path.relative_to(ROOT.parent).with_suffix("").as_posix().removesuffix("/__init__").replace("/", "."): path
    for path in ROOT.rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """Modules of the package that a module imports, wherever it does and for whatever reason."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {node.module}
    return {name for name in found if name.split(".")[0] == "hwflow"}


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_every_room_has_a_place() -> None:
    assert {room(name) for name in MODULES} == set(ROOMS)


def test_no_room_imports_one_above_it() -> None:
    place = {name: position for position, name in enumerate(ROOMS)}
    upwards = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if other != "hwflow" and place[room(other)] > place[room(name)]
    ]
    assert upwards == []


def test_no_circles() -> None:
    # A package's face hands the names of its modules on.
    faces = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    graphlib.TopologicalSorter(
        {name: others - faces for name, others in IMPORTS.items() if name not in faces}
    ).prepare()


def test_tensorflow_is_imported_where_models_are_read_and_built() -> None:
    heavy = ("tensorflow", "keras", "qkeras")
    importers = set()
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(each.split(".")[0] in heavy for each in names):
                importers.add(room(name))
    assert importers <= {"frontends", "models"}


def test_the_map_has_every_room() -> None:
    documented = ROOT.parent / "docs" / "architecture.md"
    text = documented.read_text()
    missing = [name for name in ROOMS if not name.startswith("__") and f"`{name}" not in text]
    assert missing == []
