"""The wheel holds everything that an installed refdet reads: the golden suite and the templates of pages."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_suite_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        manifest = json.loads(archive.read("refdet/_golden/manifest.json"))
        sizes = {name: archive.getinfo(f"refdet/_golden/{name}").file_size for name in manifest["files"]}
    assert sizes == {name: file["bytes"] for name, file in manifest["files"].items()}


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for package, parent in (("refdet", ROOT), ("refdet_numba", ROOT / "backends")):
        files = {path.relative_to(parent).as_posix() for path in (parent / package).rglob("*") if path.is_file()}
        wanted = {name for name in files if "__pycache__" not in name and not name.endswith(".pyc")}
        assert wanted <= names
    assert "refdet/verify/report/page.html.j2" in names


def test_an_installed_suite_is_found(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the package reads its own suite, and the report its own template."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); from refdet.cli.main import main; main()"
    )
    arguments = ["verify", "--adapter", "legacy", "--select", "nms", "--html", "page.html"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "differs; 2 named habits explain it." in " ".join(done.stdout.split())
    assert "nms.cmp=ge" in (tmp_path / "page.html").read_text(encoding="utf-8")
