"""pydensecrf: Krähenbühl's C++ of the fully connected CRF, and the unary potentials of its utilities.

Its kernels are filtered on the permutohedral lattice only, with the self term, and without damping. Everything is
float32. It has gradients of what Python cannot reach.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.adapters import Adapter
from refdet.verify.adapters.table import (
    Answers,
    Function,
    array,
    import_library,
    need,
    no_argument,
    only,
    table_adapter,
)
from refdet.verify.question import Question

ADVICE = "install it with: pip install pydensecrf2"


def load(argument: str) -> Adapter:
    """Return the adapter of the installed pydensecrf, under either of its names on PyPI."""
    no_argument("pydensecrf", argument)
    densecrf, utils = (import_library(f"pydensecrf.{name}", ADVICE) for name in ("densecrf", "utils"))
    return table_adapter("pydensecrf", _version(), _functions(densecrf, utils))


def _version() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("pydensecrf2", "pydensecrf"):
        try:
            return {name: version(name)}
        except PackageNotFoundError:
            continue
    return {}


def _functions(densecrf: Any, utils: Any) -> dict[str, Function]:
    normalisations = {
        "none": densecrf.NO_NORMALIZATION,
        "before": densecrf.NORMALIZE_BEFORE,
        "after": densecrf.NORMALIZE_AFTER,
        "symmetric": densecrf.NORMALIZE_SYMMETRIC,
    }

    def mean_field(q: Question) -> Answers:
        p = q.params
        only("pydensecrf", q, damping=0.0, exclude_self=False)
        need(set(p["filters"]) <= {"lattice"}, f"pydensecrf has no filters {p['filters']}, but the lattice alone")
        unary, features, compatibilities = (array(q, name) for name in ("unary", "features", "compatibilities"))
        need(unary.size, "pydensecrf has no CRF of no points")
        crf = densecrf.DenseCRF(*unary.shape)
        crf.setUnaryEnergy(np.ascontiguousarray(unary.T, np.float32))
        ends = np.cumsum(p["dimensions"])
        for end, d, how, compatibility in zip(ends, p["dimensions"], p["normalisation"], compatibilities, strict=True):
            crf.addPairwiseEnergy(
                np.ascontiguousarray(features[:, end - d : end].T, np.float32),
                compat=np.ascontiguousarray(compatibility, np.float32),
                kernel=densecrf.CONST_KERNEL,
                normalization=normalisations[how],
            )
        return {"q": np.array(crf.inference(p["iterations"])).T}

    def unary_from_labels(q: Question) -> Answers:
        """Its label 0 is the unsure one, and the others count from 1."""
        p, labels = q.params, array(q, "labels")
        only("pydensecrf", q, dtype="float32")
        need(p["n_labels"] > 1, "pydensecrf divides by the number of other labels")
        valid = (labels >= 0) & (labels < p["n_labels"])
        if p["unsure"] is None:
            need(valid.all(), "pydensecrf has no labels beyond the last")
            return {"unary": utils.unary_from_labels(labels, p["n_labels"], p["gt_probability"], False).T}
        unsure = labels == p["unsure"]
        need((valid | unsure).all(), "pydensecrf has no labels beyond the last")
        theirs = np.where(unsure, 0, labels + 1)
        return {"unary": utils.unary_from_labels(theirs, p["n_labels"], p["gt_probability"], True).T}

    def unary_from_probabilities(q: Question) -> Answers:
        probabilities = array(q, "probabilities")
        return {"unary": utils.unary_from_softmax(probabilities.T, clip=q.params["floor"]).T}

    return {
        "mean_field": mean_field,
        "unary_from_labels": unary_from_labels,
        "unary_from_probabilities": unary_from_probabilities,
    }
