"""What `refdet train` does for detectors that are given their proposals: a search of all pictures, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refdet.cli.messages import errors
from refdet.data.sample import Sample
from refdet.detection.model_names import DetectorNetwork
from refdet.detection.with_proposals import WithProposals
from refdet.training import Interrupted, TrainingError
from refdet.training.interruption import Interruption
from refdet.training.progress import default_progress

PROPOSALS_FILE = "proposals.npz"


def with_proposals(detector: DetectorNetwork, samples: Sequence[Sample], folder: Path) -> Sequence[Sample]:
    """Return the samples with their proposals, searched for once and kept in the folder; heed signals meanwhile."""
    from rich.progress import Progress

    path = folder / PROPOSALS_FILE
    found = WithProposals(samples, detector.propose, path=path)  # type: ignore[attr-defined]
    if found.n_found == len(found):
        return found
    with (
        Progress(console=errors, transient=True, disable=not errors.file.isatty()) as bar,
        Interruption(default_progress().notice, piece="picture") as interruption,
    ):
        task = bar.add_task("searching proposals", total=len(found), completed=found.n_found)

        def go_on(n: int) -> None:
            bar.update(task, completed=n)
            if interruption.cause is not None:  # `save` writes what was found all the same
                raise Interrupted(
                    f"train: {interruption.cause} in the search for proposals; those of {n} of {len(found)} pictures "
                    f"are in {path}; begun again, the run goes on from there"
                )

        try:
            found.save(on_found=go_on)
        except MemoryError as problem:
            raise TrainingError(
                "train: there is too little memory to search a picture for proposals; make the pictures smaller"
            ) from problem
        go_on(len(found))  # a signal may have come while the last of them were written
    return found
