"""Which detector a command uses, by --model and --weights, and on which backend it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from refdet.cli.messages import UsageProblem

if TYPE_CHECKING:
    from refdet.detection.model_file import LoadedModel

DEFAULT_MODEL = "small_mask_rcnn"  # whose weights come with refdet


def chosen_model(command: str, model: str | None, weights: Path | None) -> LoadedModel:
    """Return the detector that the options ask for: of the file, or of the weights that come with refdet."""
    from refdet.detection.model_file import load_model, shipped_weights

    if model is not None:
        check_model(command, model)
    if weights is not None:
        check_weights(weights)
        return load_model(weights, model)
    name = model or DEFAULT_MODEL
    shipped = shipped_weights(name)
    if shipped is None:
        raise UsageProblem(
            f"{command}: refdet comes without weights for {name}; give yours with --weights{other_ways(name)}"
        )
    return load_model(shipped, name)


def check_weights(path: Path) -> None:
    """Refuse what cannot be a file of weights, before anything is asked of it: nothing there, a folder, a picture."""
    from refdet.detection.model_file import TORCH_SUFFIXES
    from refdet.nn.checkpoint import CheckpointError
    from refdet.nn.checkpoint.errors import errors_name_file
    from refdet.nn.checkpoint.tensor_files import FORMATS

    suffixes = (*FORMATS, *TORCH_SUFFIXES)
    listed = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
    with errors_name_file(path):
        path.stat()
        if path.is_dir():
            from refdet.cli.train_order import MODEL_FILE

            model = path / MODEL_FILE
            named = f"the model in it, {model}" if model.is_file() else f"a file, {listed}"
            raise CheckpointError(f"is a folder; name {named}")
        if path.suffix not in suffixes:
            raise CheckpointError(f"the suffix chooses the format and must be {listed}, not {path.suffix!r}")


def other_ways(name: str) -> str:
    """Return how a sentence goes on that asks for weights: where else they can be had."""
    from refdet.detection.model_names import find_model

    model = find_model(name)
    if model.class_names is not None:
        return ", or those that torchvision publishes"
    if model.in_stages:
        return ""
    photographs = "coco:FILE.json" if "masks" in model.learns_from else "voc:FOLDER"
    data = usual_data(name) if model.renamed is None else photographs
    return f", or train some: refdet train {name} --data {data}"


def usual_data(name: str) -> str:
    """Return the pictures, of those that are made as they are needed, that a model can be tried on."""
    from refdet.detection.model_names import find_model

    return "figures" if "joints" in find_model(name).learns_from else "shapes"


def check_model(command: str, name: str) -> None:
    """Refuse a name that no model has."""
    from refdet.detection.model_names import find_model

    try:
        find_model(name)
    except LookupError as problem:
        raise UsageProblem(f"{command}: {problem.args[0]}") from None


@contextmanager
def on_backend(command: str, name: str | None) -> Iterator[None]:
    """Run on the backend of that name; None for the one that is active anyway."""
    from refdet.core.kernel import find_backend, use_backend

    if name is None:
        yield
        return
    try:
        backend = find_backend(name)
    except LookupError as problem:
        raise UsageProblem(f"{command}: --backend: {problem.args[0]}") from None
    with use_backend(backend):
        yield
