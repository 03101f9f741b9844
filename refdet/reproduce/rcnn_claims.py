"""What is claimed of the R-CNN family, what a seed's record says of it, and the verdicts.

A claim "a ≥ b" on mAP holds where the mean of the differences is at least 0. All others hold where the whole interval
lies above what they ask for: 0, 20 times, once, or −1 point. One seed alone judges nothing. Of times the logarithms are
compared: their difference is the logarithm of how many times faster the one is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from refdet.reproduce.paired import PairedDifference, paired_difference
from refdet.reproduce.published import network_of, of_claim, of_method
from refdet.reproduce.wording import interval, judgement, points

METHODS = {
    "sliding_window": "sliding window",
    "rcnn_frozen": "R-CNN, frozen",
    "rcnn": "R-CNN, fine-tuned",
    "rcnn_boxes": "R-CNN, fine-tuned, boxes",
    "spp_1": "SPP-net, 1 scale",
    "spp_5": "SPP-net, 5 scales",
    "fast": "Fast R-CNN",
    "fast_svd": "Fast R-CNN, SVD",
    "faster": "Faster R-CNN",
}
WITHOUT_PROPOSALS = ("sliding_window", "faster")  # which look for none, or for their own
POINT = 0.01


@dataclass(frozen=True)
class Claim:
    """One method is better than another, or worse by less than something.

    Attributes:
        name: that of the claim in `published.json`.
        text: the claim.
        better: the method of which it is made.
        worse: the one it is compared with.
        of: "mAP"; or of seconds "seconds", "with_proposals" or "fc_seconds", of the fully connected layers alone.
        asked: what the difference, or how many times faster it is, must exceed.
        surely: whether all of the interval must, or its middle reach it.
    """

    name: str
    text: str
    better: str
    worse: str
    of: str = "mAP"
    asked: float = 0.0
    surely: bool = False

    @property
    def is_ratio(self) -> bool:
        """Whether it is about times, whose logarithms are compared."""
        return self.of != "mAP"


CLAIMS = (
    Claim("fast_speed", "Fast R-CNN ≥ 20 × faster than R-CNN", "fast", "rcnn_boxes", "seconds", 20, surely=True),
    Claim("fast_accuracy", "Fast R-CNN ≥ R-CNN", "fast", "rcnn_boxes"),
    Claim(
        "faster_speed", "Faster faster than Fast, with proposals", "faster", "fast", "with_proposals", 1, surely=True
    ),
    Claim("faster_accuracy", "Faster R-CNN ≥ Fast R-CNN", "faster", "fast"),
    Claim("box_regression", "R-CNN: box regression > none", "rcnn_boxes", "rcnn", surely=True),
    Claim("svd_speed", "FC layers faster by truncated SVD", "fast_svd", "fast", "fc_seconds", 1, surely=True),
    Claim("svd_accuracy", "truncated SVD costs < 1 point", "fast_svd", "fast", asked=-POINT, surely=True),
    Claim("five_scales", "SPP-net: 5 scales ≥ 1 scale", "spp_5", "spp_1"),
    Claim("fine_tuning", "R-CNN: features fine-tuned ≥ frozen", "rcnn", "rcnn_frozen"),
)


class Verdict(NamedTuple):
    """What the seeds say about a claim."""

    claim: Claim
    difference: PairedDifference  # of shares of mAP, or of the logarithms of seconds

    @property
    def holds(self) -> bool:
        """Whether the interval, or its middle, lies where the claim says."""
        asked = math.log(self.claim.asked) if self.claim.is_ratio else self.claim.asked
        return self.difference.low > asked if self.claim.surely else self.difference.mean >= asked

    @property
    def published(self) -> float:
        """What the decks have, in the same unit."""
        found = of_claim(self.claim.name)
        return math.log(found) if self.claim.is_ratio else found / 100


def measured(record: Mapping[str, Any], method: str, of: str) -> float | None:
    """Return what a seed's record says of a method: a share of mAP or seconds; None where that part is not done."""
    parts = record["parts"]
    if of == "mAP":
        return next((p["mAP"][method] for p in parts.values() if method in p.get("mAP", ())), None)
    if "timing" not in parts:
        return None
    timing = parts["timing"]
    seconds: float | None = timing["fc_seconds" if of == "fc_seconds" else "seconds"].get(method)
    is_counted = of == "with_proposals" and method not in WITHOUT_PROPOSALS
    return seconds + timing["search_seconds"] if is_counted and seconds is not None else seconds


def verdicts(records: Mapping[str, Any]) -> list[Verdict]:
    """Judge every claim of which at least one seed knows both sides, seed → record."""
    judged = []
    for claim in CLAIMS:
        sides = [(measured(r, claim.better, claim.of), measured(r, claim.worse, claim.of)) for r in records.values()]
        pairs = [(a, b) for a, b in sides if a is not None and b is not None and math.isfinite(a - b)]
        if not pairs:
            continue
        better, worse = zip(*pairs, strict=True)
        if claim.is_ratio:
            difference = paired_difference([math.log(x) for x in worse], [math.log(x) for x in better])
        else:
            difference = paired_difference(better, worse)
        judged.append(Verdict(claim, difference))
    return judged


def in_words(verdict: Verdict, value: float) -> str:
    """Return a difference of a claim: points of mAP, or how many times faster.

    >>> speed, accuracy, *_ = (Verdict(claim, PairedDifference(0.0, 0.0, 0.0, 2)) for claim in CLAIMS)
    >>> in_words(accuracy, 0.021), in_words(speed, math.log(21)), in_words(speed, math.log(0.5))
    ('+2.1', '21.0 ×', '0.50 ×')
    """
    if not verdict.claim.is_ratio:
        return points(value)
    ratio = math.exp(value)
    return f"{ratio:.{0 if ratio >= 100 else 1 if ratio >= 10 else 2}f} ×"


def row_in_words(verdict: Verdict, *, miniature: bool) -> tuple[str, str, str, str, str, str]:
    """Return a claim with its seeds, its mean difference, the interval, what was published, and the verdict."""

    def form(value: float) -> str:
        return in_words(verdict, value)

    difference = verdict.difference
    return (
        verdict.claim.text,
        str(difference.n),
        form(difference.mean),
        interval(verdict, form),
        form(verdict.published),
        judgement(verdict, miniature=miniature),
    )


class Summary(NamedTuple):
    """A method over the seeds that have it, and as published; None for what nobody measured."""

    method: str
    name: str
    n: int  # seeds
    mean: float | None  # of mAP, a share
    lowest: float | None
    highest: float | None
    seconds: float | None  # a picture, without proposals
    with_proposals: float | None
    published_mean: float | None  # a share
    published_seconds: float | None
    published_with: float | None
    published_network: str


def summaries(records: Mapping[str, Any]) -> list[Summary]:
    """Return what the records say of every method, in the order of `METHODS`."""
    found = []
    for method, name in METHODS.items():

        def values(of: str, method: str = method) -> list[float]:
            return [x for record in records.values() if (x := measured(record, method, of)) is not None]

        shares, published = values("mAP"), of_method(method, "mAP")
        found.append(
            Summary(
                method,
                name,
                len(shares),
                fmean(shares) if shares else None,
                min(shares, default=None),
                max(shares, default=None),
                fmean(seconds) if (seconds := values("seconds")) else None,
                fmean(seconds) if (seconds := values("with_proposals")) else None,
                None if published is None else published / 100,
                of_method(method, "seconds"),
                of_method(method, "with_proposals"),
                network_of(method),
            )
        )
    return found
