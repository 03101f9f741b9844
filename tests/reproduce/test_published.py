"""The published figures: that they are those of the decks, as transcribed here again, and that nothing hangs loose."""

from __future__ import annotations

import pytest

from refdet.reproduce.published import FILE, decks_of_claim, figure, network_of, of_claim, of_method, published
from refdet.reproduce.rcnn_claims import CLAIMS, METHODS
from tests.test_deck_tables import ROWS, TEST, TEST_RCNN, TEST_SVD, TRAIN, TRAIN_RCNN

OF_RCNN = {
    "pool5": "R-CNN pool5",
    "fc6": "R-CNN fc6",
    "fc7": "R-CNN fc7",
    "FT-pool5": "R-CNN FT pool5",
    "FT-fc6": "R-CNN FT fc6",
    "FT-fc7": "R-CNN FT fc7",
    "R-CNN-BB": "R-CNN FT fc7 BB",
    "DPM-v5": "DPM v5",
    "DPM-ST": "DPM ST",
    "DPM-HSC": "DPM HSC",
}
OF_FAST = {
    "SPP-BB": "SPPnet BB, 07 without difficult",
    "R-CNN-VGG": "R-CNN BB, 07",
    "FRCN-07": "Fast R-CNN, 07",
    "FRCN-easy": "Fast R-CNN, 07 without difficult",
    "FRCN-07+12": "Fast R-CNN, 07+12",
}


def test_the_tables_of_classes() -> None:
    tables = published()["tables"]
    for table, names in (("rcnn", OF_RCNN), ("fast_accuracy", OF_FAST)):
        assert tables[table]["rows"] == {name: ROWS[short] for short, name in names.items()}
        assert tables[table]["columns"][::10] == ["aeroplane", "table", "mAP"]
    assert len(OF_RCNN) + len(OF_FAST) == len(ROWS)


def test_the_table_of_seconds() -> None:
    rows = published()["tables"]["fast_speed"]["rows"]
    blank = [None] * 4
    assert rows["training, hours"] == [*TRAIN, *TRAIN_RCNN, 25]
    assert rows["seconds a picture"] == [*TEST, *TEST_RCNN, 2.3]
    assert rows["seconds a picture, SVD"] == [*TEST_SVD, *blank]
    assert rows["times faster"] == [98, 80, 146, 1, 1, 1, 20]
    assert rows["times faster, SVD"] == [169, 150, 213, *blank]
    assert rows["training, times faster"] == [18.3, 14.0, 8.8, 1, 1, 1, 3.4]
    assert rows["mAP"] == [57.1, 59.2, 66.9, 58.5, 60.2, 66.0, 63.1]
    assert rows["mAP, SVD"] == [56.5, 58.7, 66.6, *blank]


def test_the_tables_of_deck_000() -> None:
    tables = published()["tables"]
    one = (43.0, 42.5, 52.3, 54.5, 58.0, 0.053, 0.089, 0.142)
    five = (44.9, 44.8, 53.7, 55.2, 59.2, 0.293, 0.089, 0.382)
    assert list(tables["spp"]["rows"].values()) == [list(pair) for pair in zip(one, five, strict=True)]
    assert tables["faster"]["rows"] == {
        "R-CNN": [50, 66.0, None],
        "Fast R-CNN": [2, 66.9, 70.0],
        "Faster R-CNN": [0.198, 69.9, 73.2],
    }


def test_tables_that_share_a_figure_agree() -> None:
    """Deck 000 has from Ren et al. what deck 004 has from Girshick; and within deck 004 one table has it twice."""
    assert figure("faster", "R-CNN", "mAP, 07") == figure("fast_speed", "mAP", "R-CNN L")
    assert figure("faster", "Fast R-CNN", "mAP, 07") == figure("fast_accuracy", "Fast R-CNN, 07", "mAP")
    assert figure("faster", "Fast R-CNN", "mAP, 07+12") == figure("fast_accuracy", "Fast R-CNN, 07+12", "mAP")
    assert figure("rcnn", "R-CNN FT fc7 BB", "mAP") == figure("fast_speed", "mAP", "R-CNN S")
    assert figure("seconds_002", "R-CNN", "seconds a picture") == figure("fast_speed", "seconds a picture", "R-CNN L")


def test_every_table_is_whole() -> None:
    for table in published()["tables"].values():
        assert {"deck", "heading", "source", "data", "columns", "rows"} == set(table)
        assert all(len(row) == len(table["columns"]) for row in table["rows"].values())


def test_every_claim_and_method_has_its_figures() -> None:
    assert list(published()["claims"]) == [claim.name for claim in CLAIMS]
    assert list(published()["methods"]) == list(METHODS)
    for claim in CLAIMS:
        assert (published()["claims"][claim.name]["as"] == "ratio") == claim.is_ratio
        assert set(decks_of_claim(claim.name)) <= {"000", "004"}
    for method in METHODS:
        assert of_method(method, "mAP") is not None
        assert network_of(method) in ("DPM v5", "AlexNet", "ZF", "VGG-16")


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("fast_speed", 146),  # as printed; 47.0 / 0.32 is 146.9
        ("fast_accuracy", 0.9),
        ("faster_speed", 2 / 0.198),
        ("faster_accuracy", 3.0),
        ("box_regression", 4.3),
        ("svd_speed", 0.32 / 0.22),
        ("svd_accuracy", -0.3),
        ("five_scales", 1.2),
        ("fine_tuning", 9.5),
    ],
)
def test_what_the_claims_came_to(claim: str, value: float) -> None:
    assert of_claim(claim) == pytest.approx(value)


def test_what_is_left_blank_is_no_figure() -> None:
    with pytest.raises(ValueError, match="leaves 'SPPnet L' of 'mAP, SVD' blank"):
        figure("fast_speed", "mAP, SVD", "SPPnet L")
    assert of_method("spp_1", "with_proposals") is None


def test_the_file_is_text_without_nan() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text
