"""What the README shows is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from refdet.cli.main import app

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_catalogue_is_current() -> None:
    written = README.split("catalogue begins")[1].split("-->\n", 1)[1].split("<!-- catalogue ends")[0]
    generated = CliRunner().invoke(app, ["list", "--markdown"]).output
    assert written.strip() == generated.strip(), "paste the output of `refdet list --markdown` into the README"


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[:1])
def test_the_example_runs(block: str) -> None:
    names: dict[str, object] = {}
    exec(block, names)
    loss = names["loss"]
    assert loss.item() > 0  # type: ignore[attr-defined]


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target
