"""The architecture, as a test: who may import whom."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOOR = {
    "core": 0,
    "autograd": 1,
    **dict.fromkeys(("ops", "boxes", "masks", "metrics"), 2),
    **dict.fromkeys(("nn", "data"), 3),
    **dict.fromkeys(("features", "proposals", "crf"), 4),
    **dict.fromkeys(("detection", "segmentation", "localization", "faces"), 5),
    **dict.fromkeys(("training", "pictures", "verify", "bench"), 6),
    "reproduce": 7,
    "cli": 8,
}
AT_IMPORT_TIME = {"numpy"}  # everything else is imported where it is used
IN_FUNCTIONS = {
    "numpy",
    "scipy",
    "skimage",
    "PIL",
    "safetensors",
    "typer",
    "rich",
    "matplotlib",
    "jinja2",
    "threadpoolctl",
}
OTHER_LIBRARIES_IN = {
    "bench",
    "verify/adapters",
}  # what compares with other libraries may import them, inside functions
UNUSED_NAMES = {"utils", "common", "helpers", "misc"}

PACKAGE = sorted((ROOT / "refdet").rglob("*.py"))
ORACLES = sorted((ROOT / "tests" / "oracles").glob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path, *, in_functions: bool) -> set[str]:
    """Return the dotted names that a file imports, inside its functions or outside (type-checking blocks left out)."""
    tree = ast.parse(path.read_text())
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(n) for f in functions for n in ast.walk(f)}
    for_types = {
        id(n)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for n in ast.walk(block)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if (id(node) in inside) != in_functions or id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}: write absolute imports"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "refdet" else {module}
    return names


@pytest.mark.parametrize("path", PACKAGE, ids=named)
def test_imports_point_down(path: Path) -> None:
    floor = path.relative_to(ROOT / "refdet").parts[0]
    if floor not in FLOOR:
        assert floor in ("__init__.py", "__main__.py"), f"{named(path)} stands on no floor"
        return
    for name in imports(path, in_functions=False) | imports(path, in_functions=True):
        top, *rest = name.split(".")
        if top == "refdet" and rest and rest[0] in FLOOR:
            assert FLOOR[rest[0]] <= FLOOR[floor], f"{named(path)} on floor {FLOOR[floor]} imports {name}"
        assert top != "refdet_numba", f"{named(path)} imports a backend"


@pytest.mark.parametrize("path", PACKAGE, ids=named)
def test_only_numpy_is_imported_at_import_time(path: Path) -> None:
    if "cli" in path.parts:  # the command line is built with typer and rich
        return
    for name in imports(path, in_functions=False):
        top = name.split(".")[0]
        assert top in AT_IMPORT_TIME | {"refdet"} or top in sys.stdlib_module_names, f"{named(path)} imports {name}"


@pytest.mark.parametrize("path", PACKAGE, ids=named)
def test_only_declared_packages_are_used(path: Path) -> None:
    if any(named(path).startswith(f"refdet/{folder}/") for folder in OTHER_LIBRARIES_IN):
        return
    for name in imports(path, in_functions=True):
        top = name.split(".")[0]
        # `golden` holds the cases of the source tree, `tests` its oracles
        known = top in IN_FUNCTIONS | {"refdet", "golden", "tests"} or top in sys.stdlib_module_names
        assert known, f"{named(path)} imports {name}, which refdet does not depend on"


@pytest.mark.parametrize("path", ORACLES, ids=named)
def test_oracles_know_nothing_of_refdet(path: Path) -> None:
    for name in imports(path, in_functions=False) | imports(path, in_functions=True):
        own = name.startswith("tests.oracles")
        assert own or name.split(".")[0] in {"numpy", *sys.stdlib_module_names}, f"{named(path)} imports {name}"


def test_no_file_is_named_after_nothing() -> None:
    assert not [named(path) for path in PACKAGE if path.stem in UNUSED_NAMES]


def test_the_seam_stays_small() -> None:
    assert len((ROOT / "refdet" / "core" / "kernel.py").read_text().splitlines()) < 100


def test_no_two_tests_of_one_name() -> None:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        names = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"{named(path)} defines {twice} twice: the first never runs"


def test_import_loads_numpy_alone() -> None:
    """`import refdet` brings no third-party package but NumPy (with what the interpreter loaded before it left out)."""
    program = (
        "import sys; before = set(sys.modules)\n"
        "import refdet\n"
        "tops = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "print(*sorted(t for t in tops if t not in sys.stdlib_module_names))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    of_numpy = {"numpy", "cython_runtime"}  # the latter, and a versioned twin, come with numpy.random
    tops = {top for top in run.stdout.split() if not top.startswith("_cython_")}
    assert tops <= of_numpy | {"refdet"}, run.stdout


@pytest.mark.parametrize(("given", "used"), [(None, "14"), ("20", "20")])
def test_threads_of_blas_wait_less_unless_told(given: str | None, used: str) -> None:
    """OpenBLAS reads it when NumPy is loaded, so that is when it must be there."""
    program = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy': print(os.environ.get('OPENBLAS_THREAD_TIMEOUT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import refdet"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    if given is not None:
        environment["OPENBLAS_THREAD_TIMEOUT"] = given
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout == f"{used}\n"
