"""Score bars and charts: positions, and labels for screen readers."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from spa3d.report.curves import Chart, Series
from spa3d.report.document import SubsetScore
from spa3d.report.figures import draw_chart, draw_score_bar

PART = SubsetScore(score=0.5, ci95=(0.25, 0.75), blind=0.0, blind_ci95=(0.0, 0.1), chance=1.0, n=4)


def line(name="loss", values=(1.0, 3.0), *, held_out=False, steps=(0, 10)):
    return Series(name, "plain", held_out, tuple(steps), tuple(values))


def test_draw_score_bar_positions():
    svg = ET.fromstring(draw_score_bar(PART, None, "choice"))
    dot, ring, span, chance = (svg.find(f"*[@class='{kind}']").attrib for kind in
                               ("score before", "blind before", "span before", "chance"))  # fmt: skip
    assert (float(dot["cx"]), float(ring["cx"])) == (120.0, 8.0)  # 8 + 224 * share
    assert (float(span["x1"]), float(span["x2"])) == (64.0, 176.0)
    assert float(chance["x1"]) == 232.0
    assert svg.find("*[@class='score after']") is None
    assert svg.attrib["aria-label"] == (
        "choice: before 50.0 % (95 % interval 25.0\N{EN DASH}75.0), blind 0.0 %; chance 100.0 %"
    )


def test_draw_chart_spans_its_data():
    figure = ET.fromstring(draw_chart(Chart("Loss", "", (line(),)), width=440, height=220))
    points = figure.find(".//polyline").attrib["points"].split()
    assert points == ["40.0,196.0", "430.0,16.0"]  # from the left lower corner to the right upper one
    label = figure.find(".//svg").attrib["aria-label"]
    assert label == "Loss: loss from 1 at step 0 to 3 at step 10"


@pytest.mark.parametrize("values", [(2.0, 2.0), (0.0, 0.0), (-1e-9, 1e-9), (1e6, 3e6)])
def test_draw_chart_flat_tiny_and_huge_values(values):
    text = draw_chart(Chart("Margin", "nats", (line(values=values),)))
    ET.fromstring(text)
    assert "nan" not in text


def test_draw_chart_single_point():
    assert len(re.findall("<circle", draw_chart(Chart("x", "", (line(values=(1.0,), steps=(7,)),))))) == 1


def test_draw_chart_training_line_is_faint_beside_held_out_line():
    alone = draw_chart(Chart("Loss", "", (line(),)))
    beside = draw_chart(Chart("Loss", "", (line(), line(held_out=True))))
    assert "faint" not in alone
    assert "faint" in beside


def test_draw_chart_names_do_not_overlap_and_are_escaped():
    series = (line("clean", (1, 2)), line("<b>", (1, 2.01)), line("noised", (1, 0)))
    figure = ET.fromstring(draw_chart(Chart("Log p", "", series)))
    labels = [text for text in figure.iter("text") if "label" in text.attrib["class"]]
    places = sorted(float(text.attrib["y"]) for text in labels)
    assert {text.text for text in labels} == {"clean", "<b>", "noised"}
    assert all(low - high >= 13 for high, low in pairwise(places))


def test_draw_chart_watchdog_warning():
    figure = ET.fromstring(draw_chart(Chart("Loss", "", (line(),), alarms=(5,))))
    assert float(figure.find(".//line[@class='alarm']").attrib["x1"]) == 235.0


def test_draw_chart_gives_every_name_a_style_of_its_own() -> None:
    lines = [
        Series(name, "plain", probe, (0, 1), (0.1, 0.2)) for name in ("loss", "sft", "spa") for probe in (False, True)
    ]
    figure = draw_chart(Chart("Loss", "", (*lines, Series("clean", "clean", False, (0, 1), (0.1, 0.2)))))
    styles = re.findall(r'class="label ([^"]*)"[^>]*>([^<]*)<', figure)
    assert sorted(styles) == [("clean", "clean"), ("extra-1", "sft"), ("extra-2", "spa"), ("plain", "loss")]
