"""Every deviation of the suite is named when an independent implementation deviates so."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from refdet.verify.adapters import Adapter
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.diagnose import diagnose
from refdet.verify.suite import load_suite
from tests.witnesses._witness import Witness

MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
MODULES = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith(("_", "test_")))
WITNESSES: list[Witness] = [
    witness for name in MODULES for witness in importlib.import_module(f"tests.witnesses.{name}").WITNESSES
]


@pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: f"{w.key}-{w.algorithm}")
def test_the_verifier_names_what_the_witness_does(witness: Witness) -> None:
    cases = list(load_suite().cases(witness.algorithm))
    adapter = Adapter("witness", {}, witness.answer)
    outcomes = list(ask_adapter(adapter, [question_of(case) for case in cases]))
    verdict = diagnose(witness.algorithm, cases, outcomes)
    errors = {outcome.id: outcome.error for outcome in outcomes if outcome.error}
    for library in MISSING.findall(" ".join(errors.values())):
        pytest.importorskip(library, reason=f"{library}, which this witness runs, is not installed")
    assert not errors
    assert (verdict.kind, verdict.deviations, verdict.also) == ("VARIANT", (witness.key,), ())


def test_every_deviation_has_a_witness() -> None:
    """At least one; those that run a library stand beside another that needs none."""
    assert sorted({w.key for w in WITNESSES}) == sorted(load_suite().manifest["deviations"])
