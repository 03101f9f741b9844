"""torchvision's C++ kernels, asked in a process of their own.

torchvision does not run beside the torch that other tests use, but Debian has both (`python3-torchvision`) for
/usr/bin/python3. One run of that interpreter answers all questions, which travel in an .npz file each way.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array

PYTHON = "/usr/bin/python3"
NOT_INSTALLED = 77  # an exit status that Python has no other use for
PREAMBLE = f"""
import json, sys
try:
    import numpy as np, torch, torchvision
except ImportError:
    sys.exit({NOT_INSTALLED})
asked, answers = np.load(sys.argv[1]), {{}}
"""
CLOSE = """
np.savez(sys.argv[2], **answers)
"""


def ask_torchvision(program: str, arrays: Mapping[str, Any], folder: Path) -> dict[str, Array]:
    """Run a program that reads arrays from `asked` and puts others into `answers`; skip if there is no torchvision."""
    absent = f"torchvision, which is compared with, is not installed for {PYTHON}"
    if not Path(PYTHON).exists():
        pytest.skip(absent)
    asked, answers = folder / "asked.npz", folder / "answers.npz"
    np.savez(asked, **arrays)
    program = PREAMBLE + program + CLOSE
    run = subprocess.run([PYTHON, "-c", program, str(asked), str(answers)], capture_output=True, text=True)
    if run.returncode == NOT_INSTALLED:
        pytest.skip(absent)
    assert run.returncode == 0, run.stderr
    return dict(np.load(answers))


def need_torchvision() -> None:
    """Skip if that interpreter has no torchvision."""
    finds = [PYTHON, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('torchvision') is None)"]
    if not Path(PYTHON).exists() or subprocess.run(finds, capture_output=True, check=False).returncode:
        pytest.skip(f"torchvision, which is compared with, is not installed for {PYTHON}")
