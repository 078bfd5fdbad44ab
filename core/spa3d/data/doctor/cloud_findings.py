"""Judgments of one cloud: facts that matter, their effect on a model, and their repair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spa3d.data.cloud_checks import COARSE
from spa3d.data.doctor.color_facts import ColorFacts
from spa3d.data.doctor.facts import LEVELS, CloudFacts
from spa3d.data.doctor.findings import Finding
from spa3d.data.doctor.repairs import Repairs
from spa3d.data.doctor.shape_facts import ShapeFacts
from spa3d.rendering.numbers import format_count

MANY_REPEATS = 0.1
"""Least share of repeated points that is reported."""
FEW_POINTS = 256
LINE, PLANE = 0.005, 0.002
"""Largest standard deviations across a line, and across a plane, over the largest one."""
UNEVEN = 8.0
"""Least ratio of the 95th to the 5th percentile of the local spacing that is reported."""
ONE_SIDED = 0.95
FAR = 100.0
"""Least distance from the origin that is reported, in radii of the cloud."""
REFUSED = "run, chat and predict refuse the cloud"
WHOLE = 0.99
"""Least share of whole numbers in colors that cannot be between 0 and 1."""
_RANGES: Mapping[str, tuple[str, tuple[float, float], str]] = {
    "0-255": (
        "colors-255",
        (0, 255),
        "--dataset.colors 0-255 in a run; --colors 0-255 in chat, predict and preview cloud; or ",
    ),
    "0-65535": ("colors-65535", (0, 65535), ""),
    "-1-1": ("colors-signed", (-1, 1), ""),
}
"""Ranges that are refused: the finding, the range, and how it is declared."""
UP = "y"
"""Up axis of spa3d's own data and of PointLLM's."""


def judge_cloud(facts: CloudFacts) -> Iterator[Finding]:
    """Findings of a cloud, without a model beside it."""
    if facts.invalid:
        yield Finding(
            "invalid",
            f"NaN or infinity in {facts.invalid:,} of {format_count(facts.points, 'point')}, first in point "
            f"{facts.first_invalid}",
            REFUSED,
            "--fix with --drop-invalid leaves these points out",
            Repairs(drop_invalid=True) if facts.valid else None,
            certain=True,
        )
    if not facts.valid:
        yield Finding("empty", "the cloud has no valid point", REFUSED, "export it again")
        return
    if not facts.radius > 0:
        seen = f"{'the only point' if facts.valid == 1 else f'all {facts.valid:,} points'} at one place"
        yield Finding("one-place", seen, f"a cloud without extent cannot be normalized; {REFUSED}", "export it again")
        return
    yield from _judge_colors(facts.colors)
    yield from _judge_numbers(facts)
    yield from _judge_points(facts)
    if facts.shape:
        yield from _judge_shape(facts.shape, facts.distinct)
    if facts.normals and facts.normals.unit < 0.95:
        yield Finding(
            "normals-length",
            f"{1 - facts.normals.unit:.0%} of the normals are not of length 1 ({facts.normals.zero:.0%} are 0)",
            "none today: no input of an encoder is a normal",
        )


def judge_up_axis(facts: CloudFacts) -> Iterator[Finding]:
    """The finding about the up axis, where no model says which one it expects."""
    guess = facts.up_axis
    if guess.axis and guess.axis != UP:
        yield Finding(
            "up-axis",
            f"{guess.axis} seems to point up (a guess, probability {guess.confidence:.0%}: {guess.evidence}); "
            "look at the picture",
            "nothing turns a cloud: a model that was trained on y up, as spa3d's own and PointLLM's, sees it lying on "
            "its side",
            f"--fix with --up-axis {guess.likely_direction}; or --dataset.up_axis {guess.axis} where a new base is "
            "trained on these clouds",
            Repairs(up_axis=guess.likely_direction),
        )


def _judge_colors(colors: ColorFacts | None) -> Iterator[Finding]:
    if colors is None:
        yield Finding(
            "no-color",
            "no colors",
            "an encoder with rgb gets --points.missing_color for every point: 0 (black, as PointLLM) unless set; "
            "questions about color cannot be answered",
            "--fix with --color R,G,B if the color is known",
        )
        return
    seen = f"colors from {colors.low:.4g} to {colors.high:.4g}"
    if colors.range in _RANGES:
        kind, (low, high), declared = _RANGES[colors.range]
        whole, name = colors.whole > WHOLE, f"{low:g}-{high:g}"
        yield Finding(
            kind,
            f"{seen}{', all whole numbers' if whole else ''}: they look like {low:g} to {high:g}",
            f"{REFUSED}{', unless the range is declared' if declared else ''}",
            f"{declared}--fix with --colors {name}",
            Repairs(colors=(low, high)),
            certain=whole,
        )
    elif colors.range == "normals":
        yield Finding(
            "colors-normals",
            f"{seen}, nearly all of length 1: they look like normals in the place of colors",
            ("" if colors.valid else f"{REFUSED}; ")
            + "as colors they would tell an encoder with rgb the orientation of the surface",
            "--fix with --drop-colors",
            Repairs(drop_colors=True),
        )
    elif colors.range == "outside":
        yield Finding(
            "colors-outside",
            f"{seen}: no known range",
            REFUSED,
            "find out their range, then --fix with --colors LOW-HIGH, or --drop-colors",
        )
    else:
        yield from _judge_valid_colors(colors, seen)


def _judge_valid_colors(colors: ColorFacts, seen: str) -> Iterator[Finding]:
    if colors.range == "dark":
        yield Finding(
            "colors-dark",
            f"{seen}: they look as if they had been divided by 255 twice",
            "an encoder with rgb sees a black cloud",
            "--fix with --colors 0-0.00392157",
            Repairs(colors=(0, 1 / 255)),
        )
    elif colors.range == "black":
        yield Finding(
            "colors-black",
            "all colors are 0",
            "they count as colors: an encoder with rgb sees a black cloud, whatever --points.missing_color says",
            "--fix with --drop-colors if they only stand for missing ones, or with --drop-colors --color R,G,B",
            Repairs(drop_colors=True),
        )
    elif colors.range == "flat":
        named = ", ".join(f"{part:.2f}" for part in colors.mean)
        yield Finding("colors-flat", f"all points have the color {named}", "colors tell the model nothing about parts")


def _judge_numbers(facts: CloudFacts) -> Iterator[Finding]:
    """Precision and place of the coordinates."""
    distance = max(map(abs, facts.center))
    if facts.rounding > COARSE:
        yield Finding(
            "coarse-type",
            f"{facts.precision} near {distance:.7g} rounds by {facts.rounding:.2g} of the radius of {facts.radius:.3g}",
            f"neighboring points fall together or into stripes; {REFUSED}",
            "export it again as float64, or with its center subtracted; the lost digits cannot be repaired",
        )
    elif distance > FAR * facts.radius:
        yield Finding(
            "far",
            f"the center is {distance:.7g} from the origin, {distance / facts.radius:,.0f} radii",
            "none with normalized clouds, which are moved to the origin in float64; with --points.normalize false "
            "float32 is too coarse, or the encoder sees numbers that it never saw",
            "--fix with --center",
            Repairs(center=True),
        )
    if 0 < facts.levels < LEVELS:
        yield Finding(
            "grid",
            f"all coordinates lie on a grid of {facts.levels} steps along the longest axis",
            "neighbors have equal distances, and details below a step are lost; models for sampled surfaces have not "
            "seen such clouds",
            "export it with more digits",
        )


def _judge_points(facts: CloudFacts) -> Iterator[Finding]:
    count, shrinkage = facts.outliers
    if count:
        yield Finding(
            "outliers",
            f"{format_count(count, 'point')} ({count / facts.valid:.2%}) beyond a gap, up to {shrinkage:.3g} times as "
            "far from the middle as the rest",
            "a cloud is normalized by its farthest point, so the rest fills only the inner "
            f"{1 / shrinkage:.0%} of the unit sphere; farthest point sampling keeps every outlier",
            "--fix with --drop-outliers, after a look at the picture",
            Repairs(drop_outliers=True),
        )
    if facts.repeats >= MANY_REPEATS * facts.valid:
        yield Finding(
            "duplicates",
            f"{facts.repeats:,} of {format_count(facts.valid, 'point')} repeat another one",
            "they carry no information, and fill the neighborhoods of other points; a random subset keeps them, "
            "farthest point sampling takes them last",
            "--fix with --drop-duplicates",
            Repairs(drop_duplicates=True),
            certain=True,
        )
    if facts.distinct < FEW_POINTS:
        yield Finding(
            "few-points",
            f"{format_count(facts.distinct, 'different point')}",
            "small parts are not there; a model that takes more points gets repeats of these",
            "scan or sample it more densely",
        )


def _judge_shape(shape: ShapeFacts, distinct: int) -> Iterator[Finding]:
    _, middle, smallest = shape.thickness
    if middle < LINE:
        yield Finding(
            "line",
            f"all points on a line: their spread across it is {middle:.1g} of that along it",
            "there is no surface; no model was trained on this",
            "look for a column that was read wrongly",
        )
    elif smallest < PLANE:
        yield Finding(
            "planar",
            f"all points in a plane: their spread across it is {smallest:.1g} of that along it",
            "a model sees a sheet; normal for a floor plan or a picture, else a column may have been lost",
            "compare its extent with the object's",
        )
    if shape.unevenness > UNEVEN and distinct >= FEW_POINTS:
        yield Finding(
            "uneven",
            f"the spacing of points varies {shape.unevenness:.3g}-fold (5th to 95th percentile), as among vertices of "
            "a mesh, or in a scan of near and far things",
            "farthest point sampling evens it out if there are more points than the model takes; a random subset or "
            "all points do not",
            "sample a mesh by area; for scans: --points.resample fps, which is the default",
        )
    if shape.one_sided > ONE_SIDED:
        yield Finding(
            "one-sided",
            f"from one side, {shape.one_sided:.0%} of the points have no surface behind them (an estimate; it finds "
            "three of four scans from one view, and names 3 of 100 whole objects)",
            "the missing side is missing for the model, too: whole objects in training looked otherwise",
            "train or evaluate on clouds of the same kind",
        )
