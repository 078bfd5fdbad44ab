"""What a model or an encoder expects of a cloud, and the judgment of a cloud beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from spa3d.data.doctor.facts import CloudFacts
from spa3d.data.doctor.findings import Finding
from spa3d.data.doctor.repairs import Repairs
from spa3d.data.preparation import Preparation
from spa3d.rendering.numbers import format_count

MANY = 4
"""A cloud with more than this many times the points that a model takes is thinned noticeably."""
OTHER_SCALE = 3.0
"""Least ratio of sizes that matters to a model that does not normalize clouds."""


@dataclass(frozen=True)
class TrainingClouds:
    """Clouds that a model was trained on, before preparation: figures of some of them.

    Attributes:
        clouds: number of clouds that were measured.
        points: median number of points.
        radius: 5th and 95th percentile of the largest distance to the centroid.
        colored: share of clouds with colors.
        mean_color: mean color of these; None without any.
        up_axis: axis that points up in them.

    """

    clouds: int
    points: int
    radius: tuple[float, float]
    colored: float
    mean_color: tuple[float, float, float] | None
    up_axis: str

    @classmethod
    def from_json(cls, values: Any) -> TrainingClouds | None:
        """Read the entry of a passport; None if it is not one."""
        try:
            color = values["mean_color"]
            return cls(
                int(values["clouds"]),
                int(values["points"]),
                (float(values["radius"][0]), float(values["radius"][1])),
                float(values["colored"]),
                None if color is None else (float(color[0]), float(color[1]), float(color[2])),
                str(values["up_axis"]),
            )
        except (TypeError, KeyError, ValueError, IndexError):
            return None


@dataclass(frozen=True)
class Expectation:
    """What a model or an encoder expects.

    Attributes:
        name: of the model's folder, or of the encoder.
        encoder: name of the encoder.
        preparation: of its clouds; ``count`` 0: not stated.
        inputs: channels of the encoder.
        min_points: fewest points that the encoder takes.
        up_axis: axis that pointed up in training; empty: not stated.
        training: figures of the training clouds; None: not recorded.

    """

    name: str
    encoder: str
    preparation: Preparation
    inputs: tuple[str, ...]
    min_points: int
    up_axis: str = ""
    training: TrainingClouds | None = None

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON report."""
        return asdict(self)


def judge_beside(facts: CloudFacts, expected: Expectation) -> Iterator[Finding]:
    """Findings of a valid cloud beside what a model expects."""
    yield from _judge_count(facts, expected)
    yield from _judge_color(facts, expected)
    yield from _judge_up(facts, expected)
    yield from _judge_scale(facts, expected)


def _judge_count(facts: CloudFacts, expected: Expectation) -> Iterator[Finding]:
    count = expected.preparation.count
    if facts.valid < expected.min_points:
        yield Finding(
            "model-points",
            f"{format_count(facts.valid, 'point')}, and encoder {expected.encoder} takes at least "
            f"{expected.min_points:,}",
            "run, chat and predict refuse the cloud",
            "scan or sample it more densely, or choose an encoder that needs fewer points",
        )
    elif facts.valid < count:
        yield Finding(
            "model-repeats",
            f"{format_count(facts.valid, 'point')}, and the model takes {count:,}",
            f"{count - facts.valid:,} random repeats are added; the surface is seen at "
            f"{facts.distinct / count:.0%} of the density in training",
            "scan or sample it more densely",
        )
    elif count and facts.valid > MANY * count:
        yield Finding(
            "model-thinned",
            f"{format_count(facts.valid, 'point')}, and the model takes {count:,}",
            f"1 of {facts.valid / count:,.0f} points is kept"
            + ("; farthest point sampling of a large cloud takes long" if expected.preparation.method == "fps" else ""),
            f"none needed; --fix with --resample {MANY * count} makes it faster",
        )


def _judge_color(facts: CloudFacts, expected: Expectation) -> Iterator[Finding]:
    takes, training = "rgb" in expected.inputs, expected.training
    if facts.colors is None and takes and (training is None or training.colored):
        trained = f"; {training.colored:.0%} of its training clouds had colors" if training else ""
        yield Finding(
            "model-no-color",
            f"no colors, and encoder {expected.encoder} takes rgb",
            f"every point gets the color {expected.preparation.missing_color:g}{trained}; answers about color are "
            "made up",
            "--fix with --color R,G,B if the color is known",
        )
    elif facts.colors is not None and not takes:
        yield Finding(
            "model-color-unused",
            f"colors, and encoder {expected.encoder} takes {', '.join(expected.inputs)}",
            "colors are not used; answers about color are made up",
        )
    elif facts.colors is not None and training and not training.colored and facts.colors.range != "black":
        yield Finding(
            "model-color-unseen",
            "colors, and none of the training clouds that were measured had any",
            "the encoder gets numbers in rgb that it never saw",
            "--fix with --drop-colors",
            Repairs(drop_colors=True),
        )


def _judge_up(facts: CloudFacts, expected: Expectation) -> Iterator[Finding]:
    guess = facts.up_axis
    if not guess.axis or guess.axis == (expected.up_axis or "y"):
        return
    reached = f"--fix with --up-axis {guess.likely_direction}" if expected.up_axis in ("", "y") else "rotate it"
    height = "; its height is measured along the wrong axis" if "height" in expected.inputs else ""
    stated = f"{expected.up_axis} pointed up in training" if expected.up_axis else "published encoders expect y up"
    yield Finding(
        "model-up-axis",
        f"{guess.axis} seems to point up (a guess, probability {guess.confidence:.0%}: {guess.evidence}), and {stated}",
        f"nothing turns a cloud, so the model sees it lying on its side{height}",
        f"{reached}, after a look at the picture",
        Repairs(up_axis=guess.likely_direction) if expected.up_axis in ("", "y") else None,
    )


def _judge_scale(facts: CloudFacts, expected: Expectation) -> Iterator[Finding]:
    training = expected.training
    if expected.preparation.normalize or training is None:
        return
    low, high = training.radius
    if low / OTHER_SCALE <= facts.radius <= high * OTHER_SCALE:
        return
    middle = (low * high) ** 0.5
    factor = middle / facts.radius
    yield Finding(
        "model-scale",
        f"a radius of {facts.radius:.4g}, and the training clouds had {low:.4g} to {high:.4g}",
        "the model does not normalize clouds, so it sees an object of another size and density",
        f"--fix with --scale {factor:.3g}, or the factor of the right unit",
        Repairs(scale=float(f"{factor:.3g}")) if factor > 0 else None,
    )
