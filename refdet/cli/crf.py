"""`refdet crf`: make labels follow the edges of an image."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from refdet.cli.messages import UsageProblem, complain, errors
from refdet.cli.output_files import Input, check_not_read
from refdet.cli.output_folder import check_folder

if TYPE_CHECKING:
    from refdet.cli.crf_files import Evidence
    from refdet.core.check import Array
    from refdet.crf.dense import Inference

USUAL_NORMALISATION = "symmetric"
BYTES_PER_PIXEL, TIMES_POTENTIALS = 1000, 8  # what inference takes at its peak, as measured, for the lattice and for Q


@dataclass(frozen=True)
class Parameters:
    """Of the model and of the inference, by the names of their options."""

    sxy_spatial: float
    compat_spatial: float
    sxy: float
    srgb: float
    compat: float
    iterations: int
    normalisation: str
    order: str
    filter: str
    damping: float

    @property
    def line(self) -> str:
        """Those that are always of interest."""
        return (
            f"smoothness: sxy {self.sxy_spatial:g}, compat {self.compat_spatial:g} · appearance: sxy {self.sxy:g}, "
            f"srgb {self.srgb:g}, compat {self.compat:g}"
        )

    def details(self, confidence: float | None) -> tuple[str, ...]:
        """The others but for the iterations, what is unusual before what has no say in most runs."""
        usual = [f"order {self.order}", f"normalisation {self.normalisation}"]
        if confidence is not None:
            usual.append(f"confidence {confidence:g}")
        rest = {f"damping {self.damping:g}": self.damping > 0, f"filter {self.filter}": self.filter != "lattice"}
        return (*(text for text in rest if rest[text]), *usual, *(text for text in rest if not rest[text]))


def refine_labels(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photograph.")],
    unary: Annotated[
        Path, typer.Option(help="What each pixel says by itself: labels.png, or probs.npy.", metavar="FILE")
    ],
    sxy_spatial: Annotated[float, typer.Option(help="Smoothness: over which distance.", metavar="PIXELS")] = 3.0,
    compat_spatial: Annotated[
        float, typer.Option(help="Smoothness: its weight; 0 leaves it out.", metavar="WEIGHT")
    ] = 3.0,
    sxy: Annotated[float, typer.Option(help="Appearance: over which distance.", metavar="PIXELS")] = 80.0,
    srgb: Annotated[float, typer.Option(help="Appearance: over which difference of colour.", metavar="LEVELS")] = 13.0,
    compat: Annotated[float, typer.Option(help="Appearance: its weight; 0 leaves it out.", metavar="WEIGHT")] = 10.0,
    iterations: Annotated[int, typer.Option(help="Updates; 0 shows what FILE says.", metavar="N")] = 5,
    confidence: Annotated[
        float | None, typer.Option(help="How likely a label in FILE is right; 0.7 by default.", metavar="P")
    ] = None,
    unsure: Annotated[
        str | None,
        typer.Option(help="The label that says nothing; 255 by default. Also #rrggbb, or none.", metavar="VALUE"),
    ] = None,
    labels: Annotated[
        int | None, typer.Option(help="How many there are; the largest in FILE + 1 by default.", metavar="N")
    ] = None,
    normalisation: Annotated[
        str, typer.Option(help="Of the filters: symmetric, after, before or none.", metavar="NAME")
    ] = USUAL_NORMALISATION,
    order: Annotated[str, typer.Option(help="Of the positions: xy, or yx as pydensecrf.utils has it.")] = "xy",
    filter_name: Annotated[
        str, typer.Option("--filter", help="lattice, or exact for up to 5,000 pixels.", metavar="NAME")
    ] = "lattice",
    damping: Annotated[
        float, typer.Option(help="Share of the old values in an update, from 0 to below 1.", metavar="SHARE")
    ] = 0.0,
    out: Annotated[Path, typer.Option(help="Folder for the results; made if need be.", metavar="DIR")] = Path(
        "crf-output"
    ),
) -> None:
    r"""Make the labels of an image follow its edges, by a fully connected CRF.

    A network's labels are blobs, and drawn ones are coarse. The CRF joins
    every pixel to every other. Two that are similar and have different labels
    cost something, and what FILE says of each pixel is weighed against that.
    It is the model of Krähenbühl & Koltun (2011), with the lattice filter and
    the default values of their example.

    There are two kinds of similar. Smoothness: pixels within about
    --sxy-spatial pixels of each other. Appearance: pixels within about --sxy
    pixels whose red, green and blue are within about --srgb grey levels (of
    255). These are standard deviations: at one of them a pair still counts
    0.6, at two 0.14, at three 0.01. A weight, --compat-spatial or --compat,
    is what a different label costs; more of it makes larger and smoother
    regions. A larger --srgb lets a label cross fainter edges.

    FILE is a picture of labels (grey values or a palette: the stored value is
    the label; colours: each is a label, in the order of 65536 R + 256 G + B),
    or probabilities (L, H, W) or (H, W, L) in a .npy, such as a softmax.

    Examples:

        refdet crf cat.jpg --unary labels.png

        refdet crf cat.jpg --unary softmax.npy --sxy 60 --srgb 20 --out cat

        refdet crf im1.png --unary anno1.png --unsure 2 --order yx

    The last one is pydensecrf's example. DIR gets labels.png, overlay.png,
    before_after.png, free_energy.png and crf.json. For a million pixels it
    takes about 15 seconds and 1 GB of memory; shrink large photographs.

    Exit status: 0; 1 if a file is not what it should be; 2 on wrong usage.
    """
    from refdet.cli.crf_files import LabelOptions, check_options

    parameters = Parameters(
        sxy_spatial, compat_spatial, sxy, srgb, compat, iterations, normalisation, order, filter_name, damping
    )
    options = LabelOptions(confidence, unsure, labels)
    _check(parameters)
    check_options(options)
    check_folder("crf: --out", out)  # which is not made before it is needed

    from refdet.cli import crf_output

    results = [out / name for name in crf_output.FILES]
    check_not_read("crf: --out", results, [Input("IMAGE", image), Input("--unary", unary)], "give another folder")

    from refdet.cli.crf_files import USUAL_CONFIDENCE, read_evidence
    from refdet.data import read_image
    from refdet.pictures.crf_refinement import CrfRefinement, label_palette

    with _progress(iterations) as step:
        step("reading", 0)
        pixels = read_image(image)
        try:
            evidence = read_evidence(unary, pixels.shape[:2], options)
        except MemoryError:
            _refuse(f"{unary}: there is too little memory to read it")
        if evidence.warning:
            complain(f"warning: {evidence.warning}")
        outcome = _infer(pixels, evidence, parameters, step)
        step("drawing", iterations)
        of_labels: dict[str, Any] = {"labels": evidence.n_labels, "confidence": None, "unsure": None}
        if evidence.kind != "probabilities":
            of_labels |= {
                "confidence": USUAL_CONFIDENCE if confidence is None else confidence,
                "unsure": evidence.unsure,
            }
        found = CrfRefinement(
            pixels,
            evidence.before,
            outcome.labels().reshape(evidence.before.shape),
            label_palette(evidence.n_labels, evidence.palette),
            outcome.free_energies,
            outcome.changes,
            parameters.line,
            parameters.details(of_labels["confidence"]),
        )
        about = {
            "image": str(image),
            "unary": str(unary),
            "kind": evidence.kind,
            "parameters": asdict(parameters) | of_labels,
        }
        crf_output.write(found, about, out)
    crf_output.show(found, out)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"crf: {sentence}")


def _check(p: Parameters) -> None:
    """Refuse numbers and names that mean nothing."""
    from refdet.crf.features import ORDERS
    from refdet.crf.filters import EXPONENTS

    sizes = {"--sxy-spatial": p.sxy_spatial, "--sxy": p.sxy, "--srgb": p.srgb}
    weights = {"--compat-spatial": p.compat_spatial, "--compat": p.compat}
    for option, size in sizes.items():
        if not 0 < size < math.inf:
            _refuse(f"{option} must be a number above 0, got {size:g}")
    for option, weight in weights.items():
        if not 0 <= weight < math.inf:
            _refuse(f"{option} must be 0 or a number above, got {weight:g}")
    _check_range(sizes | weights)
    if p.iterations < 0:
        _refuse(f"--iterations must be 0 or more, got {p.iterations}")
    if not 0 <= p.damping < 1:
        _refuse(f"--damping must be from 0 to below 1, got {p.damping:g}")
    for option, name, names in (
        ("--normalisation", p.normalisation, tuple(EXPONENTS)),
        ("--order", p.order, ORDERS),
        ("--filter", p.filter, ("lattice", "exact")),
    ):
        if name not in names:
            _refuse(f"{option} must be {', '.join(names[:-1])} or {names[-1]}, got {name!r}")


def _check_range(numbers: Mapping[str, float]) -> None:
    """Refuse numbers so large or so small that float32, in which all is computed, does not hold them."""
    import numpy as np

    from refdet.cli.crf_files import DTYPE

    least, most = float(np.finfo(DTYPE).tiny), float(np.finfo(DTYPE).max)
    for option, number in numbers.items():
        if number > most:
            _refuse(f"{option} must be at most {most:.2g}, the largest number of {DTYPE}, got {number:g}")
        if 0 < number < least:
            _refuse(f"{option} must be at least {least:.2g}, the smallest number of {DTYPE}, got {number:g}")


Step = Callable[[str, int], object]  # what is being done, and how many iterations are behind it


@contextmanager
def _progress(iterations: int) -> Iterator[Step]:
    """Show a bar on standard error, if that is a terminal; FORCE_COLOR, as it is set for logs, makes it none."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task = bar.add_task("starting", total=max(iterations, 1))
        yield lambda what, done: bar.update(task, description=what, completed=done)


def _memory() -> float:
    """Return the bytes of memory that this machine has, where the system tells."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf


def _infer(image: Array, evidence: Evidence, p: Parameters, step: Step) -> Inference:
    """Build the CRF and run it."""
    import numpy as np

    from refdet.crf.dense import DenseCRF, Progress
    from refdet.crf.gaussian_kernel import check_points

    def report(progress: Progress) -> None:
        n = progress.iteration
        step(f"iteration {n} of {p.iterations}: free energy {progress.free_energy:,.7g}", n)

    H, W, _ = image.shape
    try:
        if BYTES_PER_PIXEL * H * W + TIMES_POTENTIALS * evidence.potentials.nbytes > _memory():
            raise MemoryError
        if p.filter == "exact":
            check_points("crf: --filter exact", H * W, evidence.potentials.itemsize)
        step("making the filters", 0)
        # Each pixel takes part in its own sum, with either filter, so that exact is what the lattice approximates.
        crf = DenseCRF(evidence.potentials, kernels(image, evidence, p), exclude_self=False)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            inference = crf.infer(p.iterations, damping=p.damping, on_iteration=report)
    except ValueError as problem:
        raise UsageProblem(str(problem)) from problem
    except MemoryError:
        _refuse(
            f"{W} × {H} pixels and {evidence.n_labels} labels need more memory than there is; make the image smaller"
        )
    if not np.isfinite(inference.free_energies).all():
        _refuse("the free energy is larger than float32 can hold; make --compat and --compat-spatial smaller")
    return inference


def kernels(image: Array, evidence: Evidence, p: Parameters) -> list[Any]:
    """Return the two kernels, without those of weight 0."""
    import numpy as np

    from refdet.crf.compatibility import potts
    from refdet.crf.dense import GaussianPotential
    from refdet.crf.features import bilateral_features, position_features

    dtype, n = evidence.potentials.dtype.name, evidence.n_labels
    made = []
    with np.errstate(over="ignore"):  # features that are infinite are refused later, with a sentence
        if p.compat_spatial:
            position = position_features(image.shape[:2], p.sxy_spatial, order=p.order, dtype=dtype)
            made.append(GaussianPotential(position, potts(n, p.compat_spatial, dtype=dtype), p.filter, p.normalisation))
        if p.compat:
            both = bilateral_features(image.astype(dtype), p.sxy, p.srgb, order=p.order)
            made.append(GaussianPotential(both, potts(n, p.compat, dtype=dtype), p.filter, p.normalisation))
    return made
