"""The torchvision adapter, asked in the interpreter that has torchvision; all that travels does so in .npz files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify.params import encode_params
from refdet.verify.question import Outcome, Question
from tests.torchvision_process import NOT_INSTALLED, PYTHON

PROGRAM = f"""
import json, sys
import numpy as np
from refdet.verify.adapters import load_adapter
from refdet.verify.params import decode_params
from refdet.verify.question import Question, Skipped, Unavailable
try:
    adapter = load_adapter("torchvision")
except Unavailable:
    sys.exit({NOT_INSTALLED})
arrays = np.load(sys.argv[1])
answers, skipped = {{}}, {{}}
for q in json.loads(str(arrays["questions"])):
    given = {{name: arrays.get(q["id"] + "|" + name) for name in q["arguments"]}}
    try:
        found = adapter.answer(Question(
            q["id"], q["algorithm"], decode_params(q["params"]), given, arrays.get(q["id"] + "|incoming gradient"),
            tuple(q["outputs"]), tuple(q["gradients"]),
        ))
        answers.update({{q["id"] + "|" + name: x for name, x in found.items()}})
    except Skipped as reason:
        skipped[q["id"]] = str(reason)
np.savez(sys.argv[2], skipped=json.dumps([skipped, dict(adapter.versions)]), **answers)
"""


def ask_torchvision_adapter(questions: Sequence[Question], folder: Path) -> list[Outcome]:
    """Return an outcome for each question; the calling test is skipped where no interpreter has torchvision."""
    arrays: dict[str, Array] = {}
    described = []
    for q in questions:
        given = dict(q.arguments) | {"incoming gradient": q.incoming_gradient}
        arrays |= {f"{q.id}|{name}": x for name, x in given.items() if x is not None}
        described.append(
            {
                "id": q.id,
                "algorithm": q.algorithm,
                "params": encode_params(q.params),
                "arguments": list(q.arguments),
                "outputs": q.outputs,
                "gradients": q.gradients,
            }
        )
    asked, answered = folder / "asked.npz", folder / "answered.npz"
    np.savez(asked, questions=np.array(json.dumps(described)), **arrays)  # type: ignore[arg-type]
    absent = f"torchvision is not installed for {PYTHON}"
    if not Path(PYTHON).exists():
        pytest.skip(absent)
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [PYTHON, "-c", PROGRAM, str(asked), str(answered)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode == NOT_INSTALLED:
        pytest.skip(absent)
    assert run.returncode == 0, run.stderr
    with np.load(answered) as found:
        skipped, _ = json.loads(str(found["skipped"]))
        answers: dict[str, dict[str, Array]] = {q.id: {} for q in questions}
        for key in found.files:
            if key != "skipped":
                case_id, name = key.split("|")
                answers[case_id][name] = found[key]
    return [
        Outcome(q.id, skipped=skipped[q.id]) if q.id in skipped else Outcome(q.id, answers[q.id]) for q in questions
    ]
