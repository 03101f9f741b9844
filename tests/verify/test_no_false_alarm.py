"""Right answers pass, whatever the algorithm, the order of summation or the number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify.adapters import Adapter, load_adapter
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.question import Question, Skipped
from refdet.verify.run import select_cases, verify
from refdet.verify.suite import load_suite
from refdet.verify.verdict import Report
from tests.fast_convolutions import F2, F4, by_fft, in_shuffled_order, winograd


def report_of(answer: Callable[[Question], Mapping[str, Array]], *patterns: str) -> Report:
    cases = select_cases(load_suite(), patterns)
    outcomes = ask_adapter(Adapter("trial", {}, answer), [question_of(case) for case in cases])
    return verify(load_suite(), cases, outcomes, implementation="trial", versions={})


def conv2d(convolve: Callable[[Array, Array, Question], Array]) -> Callable[[Question], Mapping[str, Array]]:
    """Return an implementation of conv2d, without gradients, from one of its sums."""

    def answer(question: Question) -> Mapping[str, Array]:
        x, weight, bias = question.arguments.values()
        assert x is not None
        assert weight is not None
        y = convolve(x, weight, question)
        return {"y": y + (np.float32(0) if bias is None else bias[:, None, None])}

    return answer


def assert_pass(report: Report, least: int) -> None:
    """Every answered case is right, and enough are answered."""
    wrong = [f"{r.id}: {r.reason or r.mismatches}" for r in report.results if r.is_bad]
    assert not wrong
    assert not report.failed
    assert report.count("pass") >= least


@pytest.mark.parametrize("transforms", [F2, F4], ids=["F(2x2)", "F(4x4)"])
def test_winograd(transforms: tuple[object, object, object]) -> None:
    def convolve(x: Array, weight: Array, question: Question) -> Array:
        plain = {"stride": (1, 1), "dilation": (1, 1), "padding": ((1, 1), (1, 1)), "groups": 1}
        if weight.shape[2:] != (3, 3) or question.params != plain or not x.size:
            raise Skipped("only 3 × 3 with stride 1 and padding 1")
        return winograd(x, weight, transforms)

    assert_pass(report_of(conv2d(convolve), "conv2d"), 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fast_fourier_transform(dtype: type) -> None:
    def convolve(x: Array, weight: Array, question: Question) -> Array:
        if not (np.isfinite(x).all() and np.isfinite(weight).all() and x.size and weight.size):
            raise Skipped("a transform spreads what is not finite, and does not take what is empty")
        return by_fft(x.astype(dtype), weight.astype(dtype), question.params)

    assert_pass(report_of(conv2d(convolve), "conv2d"), 10)


@pytest.mark.parametrize("seed", range(3))
def test_sums_in_a_shuffled_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert_pass(report_of(conv2d(lambda x, w, q: in_shuffled_order(x, w, q.params, rng)), "conv2d"), 12)


@pytest.mark.parametrize("seed", range(3))
def test_matrix_products_in_a_shuffled_order(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def answer(question: Question) -> Mapping[str, Array]:
        x, weight, bias = question.arguments.values()
        assert x is not None
        assert weight is not None
        y = np.zeros((*x.shape[:-1], len(weight)), np.float32)
        for i in rng.permutation(x.shape[-1]):
            y += x[..., i, None] * weight[:, i]
        return {"y": y if bias is None else y + bias}

    assert_pass(report_of(answer, "linear"), 4)


@contextmanager
def threads(n: int) -> Iterator[None]:
    torch = pytest.importorskip("torch", reason="torch is not installed", exc_type=ImportError)
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.oracle
@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_torch_in_float32_with_any_number_of_threads(n_threads: int) -> None:
    """Where torch follows the same conventions: sums, products and normalisations."""
    with threads(n_threads):
        answer = load_adapter("torch").answer
        report = report_of(answer, "conv2d", "conv_transpose2d", "linear", "matmul", "sum", "mean", "softmax")
    assert_pass(report, 30)


@pytest.mark.oracle
def test_onnxruntime() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    assert_pass(report_of(load_adapter("onnxruntime").answer, "conv2d", "conv_transpose2d", "matmul", "softmax"), 20)
