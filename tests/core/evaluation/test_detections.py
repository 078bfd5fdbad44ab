import pytest

from spa3d.evaluation.detections import compare_detections, summarize_detections


def row(name, view, score, positive, group=None):
    return {"id": name, "view": view, "record": name, "group": group or name, "detections": {"lie": [score, positive]}}


def rows(own, other, view="clean"):
    sides = ((own, True), (other, False))
    return [
        row(f"q{i}-{there}", view, score, there, f"g{i}") for scores, there in sides for i, score in enumerate(scores)
    ]


def test_summarize_detections_gives_auroc_with_and_without_the_cloud():
    result = summarize_detections(
        rows([3, 2, 1], [2, 1, 1]) + rows([0, 0, 0], [0, 0, 0], "blind"), bootstrap=200, key=("test",)
    )
    assert result["measures"] == {"lie_auroc": round(6.5 / 9, 6)}
    assert result["blind_measures"] == {"lie_auroc": 0.5}
    low, high = result["measure_ci95"]["lie_auroc"]
    assert low < 6.5 / 9 < high


def test_summarize_detections_leaves_out_what_is_never_or_always_there():
    result = summarize_detections(rows([3, 2], []), bootstrap=100, key=("test",))
    assert result == {"measures": {}, "measure_ci95": {}, "blind_measures": {}}


def test_compare_detections_gives_the_paired_change():
    changes = compare_detections(rows([1, 1], [1, 1]), rows([2, 2], [1, 1]), bootstrap=200, key=("test",))
    assert changes["lie_auroc"]["score"] == 0.5
    low, high = changes["lie_auroc"]["ci95"]
    assert low <= 0.5 <= high


@pytest.mark.parametrize("rows", [[], [{"id": "q", "view": "clean", "record": "r"}]])
def test_rows_without_detections_have_no_figures(rows):
    assert summarize_detections(rows, bootstrap=100, key=("test",))["measures"] == {}
    assert compare_detections(rows, rows, bootstrap=100, key=("test",)) == {}
