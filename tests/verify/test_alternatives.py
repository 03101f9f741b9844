"""Which alternatives a case gets, for made-up deviations of a function of one number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import combinations

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.core.kernel import use_backend
from refdet.verify.alternatives import Alternatives, Yardstick, alternatives_of
from refdet.verify.deviation import Body, Deviation, compatible_sets, deviating, named

EXACT = {"y": {"kind": "exact"}}


def deviation(key: str, wrap: Callable[[Body], Body] = lambda body: body) -> Deviation:
    return Deviation(key, "title", "effect", ("who",), "change", {"nms": wrap})


def found(
    effects: Mapping[str, float],
    interplay: Mapping[frozenset[str], float] | None = None,
    in_float32: Mapping[frozenset[str], float] | None = None,
    bundles: Collection[frozenset[str]] = (),
    untold: Collection[frozenset[str]] = (),
) -> Alternatives:
    """Return the alternatives of a case with the answer 1, to which each deviation adds what `effects` says."""

    def answer(keys: Collection[str]) -> tuple[dict[str, Array], dict[str, Array]]:
        more = sum(extra for keys_, extra in (interplay or {}).items() if keys_ <= set(keys))
        y = np.array([1 + sum(effects[key] for key in keys) + more], np.float32)
        return {"y": y}, {"y": y + np.float32(overflow.get(frozenset(keys), 0))}

    overflow = in_float32 or {}
    yardstick = Yardstick(answer(())[0], EXACT, {"y": None})
    return alternatives_of([deviation(key) for key in effects], answer, yardstick, bundles, untold)


def sets(alternatives: Alternatives) -> list[list[str]]:
    return [["+".join(sorted(keys)) for keys in alternative.sets] for alternative in alternatives.found]


def test_every_combination_of_three() -> None:
    alternatives = found({"a.x=1": 1, "b.x=1": 2, "c.x=1": 4})
    assert alternatives.probes == ("a.x=1", "b.x=1", "c.x=1")
    values = [float(alternative.tensors["y"][0]) for alternative in alternatives.found]
    assert values == [2, 3, 5, 4, 6, 7, 8]
    assert [alternative.name for alternative in alternatives.found] == [f"alt{i}" for i in range(1, 8)]


def test_of_four_the_single_ones_come_first() -> None:
    alternatives = found({f"{name}.x=1": 2.0**i for i, name in enumerate("abcd")})
    assert len(alternatives.probes) == 4
    assert sets(alternatives)[:4] == [["a.x=1"], ["b.x=1"], ["c.x=1"], ["d.x=1"]]
    assert len(alternatives.found) == 14  # 4 + 6 + 4, and not all four together


def test_what_changes_nothing_is_no_probe() -> None:
    assert found({"a.x=1": 1, "b.x=1": 0}).probes == ("a.x=1",)
    assert found({"a.x=1": 0}) == Alternatives()


def test_what_changes_something_only_beside_another_is_a_probe() -> None:
    alternatives = found({"a.x=1": 1, "b.x=1": 0}, {frozenset({"a.x=1", "b.x=1"}): 2})
    assert alternatives.probes == ("a.x=1", "b.x=1")
    assert sets(alternatives) == [["b.x=1"], ["a.x=1"], ["a.x=1+b.x=1"]]
    assert [(a.name, len(a.tensors)) for a in alternatives.found] == [("canonical", 0), ("alt1", 1), ("alt2", 1)]


def test_sets_with_the_same_answer_share_an_alternative() -> None:
    assert sets(found({"a.x=1": 1, "b.x=1": 1})) == [["a.x=1", "b.x=1"], ["a.x=1+b.x=1"]]


def test_what_is_too_close_is_left_out() -> None:
    ulp = 2.0**-23
    alternatives = found({"a.x=1": 100 * ulp, "b.x=1": 400 * ulp, "c.x=1": 2.0})
    assert alternatives.probes == ("a.x=1", "b.x=1", "c.x=1")  # 100 ulp are more than 32, and less than 320
    assert ["a.x=1"] not in sets(alternatives)
    assert ["b.x=1"] in sets(alternatives)


def test_what_changes_less_than_an_alternative_tolerates_is_a_probe_without_one() -> None:
    alternatives = found({"a.x=1": 3 * 2.0**-23})
    assert alternatives.probes == ("a.x=1",)
    assert alternatives.found == ()


def test_what_float32_decides_leaves_the_case_silent() -> None:
    a, b = frozenset({"a.x=1"}), frozenset({"b.x=1"})
    alternatives = found({"a.x=1": 0, "b.x=1": 2}, in_float32={a: 1.0, a | b: np.inf})
    assert alternatives.probes == ("a.x=1", "b.x=1")
    assert sets(alternatives) == [["b.x=1"]]


def test_a_bundle_of_more_than_three_comes_after_the_single_ones() -> None:
    keys = [f"{name}.x=1" for name in "abcd"]
    alternatives = found({key: 2.0**i for i, key in enumerate(keys)}, bundles=[frozenset({*keys, "e.x=1"})])
    assert sets(alternatives)[4:9] == [
        ["+".join(keys)],
        *(["+".join(k for k in keys if k != left_out)] for left_out in keys),
    ]
    assert len(alternatives.found) == 15


def test_what_is_untold_is_not_stored() -> None:
    alternatives = found({"a.x=1": 1, "b.x=1": 2}, untold=[frozenset({"a.x=1", "b.x=1"})])
    assert alternatives.probes == ("a.x=1", "b.x=1")
    assert sets(alternatives) == [["a.x=1"], ["b.x=1"]]


def test_two_values_of_a_name_are_not_combined() -> None:
    assert sets(found({"a.x=1": 1, "a.x=2": 2})) == [["a.x=1"], ["a.x=2"]]
    assert all(len({k.partition("=")[0] for k in s}) == len(s) for s in compatible_sets(["a.x=1", "a.x=2", "b=1"], 3))


def test_tolerances_of_an_alternative() -> None:
    y = np.array([1, 2], np.float32)
    rule = {"kind": "bound", "n": 1}
    gamma = 2.0**-24 / (1 - 2.0**-24)
    large, small = np.array([1e3, 1], np.float32), np.array([1e3, 1, 1], np.float32)

    def tolerance(x: Array, canonical: Array, bound: Array) -> Array:
        return Yardstick({"y": canonical}, {"y": rule}, {"y": bound}).tolerance("y", x)

    np.testing.assert_allclose(tolerance(y, y, large), [4e3 * gamma, 32 * 2.0**-22])
    np.testing.assert_allclose(tolerance(y, np.zeros(3, np.float32), small), [4e3 * gamma, 4e3 * gamma])
    np.testing.assert_array_equal(tolerance(y, np.array([np.inf, 64], np.float32), small[:2] * 0), [2.0**-14, 2.0**-14])


class TestDeviation:
    def test_wrappers_compose_in_the_order_of_the_list(self) -> None:
        from refdet.boxes.nms import nms

        def appending(n: int) -> Callable[[Body], Body]:
            return lambda body: lambda *a, **k: np.append(body(*a, **k), n)

        both = [deviation("a.x=1", appending(7)), deviation("b.x=1", appending(8))]
        with use_backend(deviating(both)):
            assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == [7, 8]
        assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []
        assert [d.key for d in named(["b.x=1", "a.x=1"], both)] == ["a.x=1", "b.x=1"]

    @pytest.mark.parametrize("key", ["nms", "nms=ge", "nms.cmp=", "Nms.cmp=ge", "nms.cmp==ge"])
    def test_a_key_has_a_form(self, key: str) -> None:
        with pytest.raises(ValueError, match="key must look like"):
            deviation(key)

    def test_all_texts_are_needed(self) -> None:
        for left_out in range(4):
            texts = [x if i != left_out else type(x)() for i, x in enumerate(("title", "effect", ("who",), "change"))]
            with pytest.raises(ValueError, match="must all be given"):
                Deviation("nms.cmp=ge", *texts, {"nms": lambda body: body})  # type: ignore[arg-type, call-arg]

    def test_an_unknown_key_or_kernel_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"no deviation c\.x=1"):
            named(["c.x=1"], [deviation("a.x=1")])
        with pytest.raises(ValueError, match="no kernel 'nsm'"):
            deviating([Deviation("a.x=1", "t", "e", ("w",), "c", {"nsm": lambda body: body})])


def test_every_compatible_set_comes_once() -> None:
    keys = ["a.x=1", "a.x=2", "b.x=1", "c.x=1"]
    expected = {frozenset(s) for n in (1, 2, 3) for s in combinations(keys, n) if not {"a.x=1", "a.x=2"} <= set(s)}
    assert sorted(map(sorted, compatible_sets(keys, 3))) == sorted(map(sorted, expected))
