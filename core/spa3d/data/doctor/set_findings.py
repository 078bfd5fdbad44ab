"""Judgments of a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from spa3d.data.doctor.findings import Finding
from spa3d.data.doctor.repairs import Repairs
from spa3d.data.doctor.set_facts import HELD_APART, SampledCloud, SetFacts, mean_up_axis
from spa3d.data.doctor.text_facts import EXAMPLES, LONG
from spa3d.rendering.numbers import format_count

COMMON = 0.05
"""Least share of the records of a split with the same caption that is reported."""
FEWEST_COPIES = 3
"""Fewest records with the same caption that are reported."""
FEWEST = 20
"""Fewest records, or clouds, of which shares are judged."""
PRIOR = 0.5
"""Least share of right answers without a cloud that is reported."""
LEAD = 4.0
"""Least lead of an up axis, in standard errors."""
OTHERS = 0.25
"""Least share of clouds with a clear up axis that is another one."""
Scores = Mapping[str, Mapping[str, float]]
"""By benchmark: questions, chance, and what answers without clouds score, by their source."""


def judge_set(facts: SetFacts, floors: Scores) -> Iterator[Finding]:
    """Findings of a data set.

    Args:
        facts: of the data set.
        floors: by benchmark, what answers without a cloud score: ``chance``, ``text-table``, ``majority``.

    """
    yield from _judge_records(facts)
    yield from _judge_copies(facts)
    yield from _judge_texts(facts)
    yield from _judge_priors(facts, floors)
    yield from _collect_cloud_findings(facts.clouds)
    yield from _judge_mixture(facts)
    yield from _judge_up(facts)


def _judge_records(facts: SetFacts) -> Iterator[Finding]:
    if facts.refusal:
        yield Finding(
            "no-data-set",
            facts.refusal.rstrip("."),
            "a run, and a preview of the dataset, stop; here the clouds were examined alone, without texts and splits",
            "do what the message says, and examine the folder again",
        )
    if facts.bad:
        yield Finding(
            "unreadable",
            f"{format_count(len(facts.bad), 'record')} or entries cannot be used",
            "a run stops at the first one, and with --on-bad-data skip leaves them out",
            "read the lines below; spa3d doctor FILE shows more about one cloud",
            examples=tuple(facts.bad[:EXAMPLES]),
        )
    empty = [split for split in HELD_APART if not (facts.texts.get(split) and facts.texts[split].records)]
    if empty and not facts.refusal:
        yield Finding(
            "empty-split",
            f"no record in {', '.join(empty)}",
            "a run trains on train, watches val and reports test; without records it stops",
            "divide the records: the settings of the dataset say how",
        )


def _judge_copies(facts: SetFacts) -> Iterator[Finding]:
    if facts.repeated_ids:
        yield Finding(
            "same-id",
            f"{format_count(len(set(facts.repeated_ids)), 'id')} of several records",
            "a run refuses the data set: answers are saved by id",
            "give each record an id of its own",
            examples=tuple(dict.fromkeys(facts.repeated_ids))[:EXAMPLES],
        )
    if facts.places:
        names = [f"{mark}: {' and '.join(splits)}" for mark, splits in facts.places.items()]
        yield Finding(
            "same-group",
            f"{format_count(len(names), 'object or group')} in more than one split",
            "the test score counts what was learned by heart",
            "keep all records of an object, and of its look-alikes, in one split",
            examples=tuple(names[:EXAMPLES]),
        )
    across, within = list[str](), list[str]()
    for same in facts.by_digest().values():
        line = " = ".join(f"{each.record_id} ({each.split})" for each in same[:4])
        (across if len({each.split for each in same} & {*HELD_APART}) > 1 else within).append(line)
    part = "" if len(facts.clouds) == facts.clouds_of else f", among the {len(facts.clouds):,} that were read"
    if across:
        yield Finding(
            "same-cloud",
            f"{format_count(len(across), 'cloud')} with the same points in two splits{part}",
            "the test score counts what was learned by heart",
            "leave one of them out, or give both the same group",
            examples=tuple(across[:EXAMPLES]),
        )
    if within:
        yield Finding(
            "repeated-cloud",
            f"{format_count(len(within), 'cloud')} with the same points in several records of a split{part}",
            "they weigh more in training, and intervals of scores are too narrow unless they share a group",
            "leave the copies out, or give them the same group",
            examples=tuple(within[:EXAMPLES]),
        )


def _judge_texts(facts: SetFacts) -> Iterator[Finding]:
    empty = [name for texts in facts.texts.values() for name in texts.empty]
    if empty:
        yield Finding(
            "empty-text",
            f"{format_count(len(empty), 'record')} with an empty question or answer",
            "the model learns to say nothing",
            "fill in the text, or leave the record out",
            examples=tuple(empty[:EXAMPLES]),
        )
    long = [name for texts in facts.texts.values() for name in texts.long]
    if long:
        yield Finding(
            "long-text",
            f"{format_count(len(long), 'record')} with a text of more than {LONG:,} characters",
            "beyond --llm.max_length a run stops, or with --train.truncate true cuts the answer",
            "shorten the texts, or raise --llm.max_length",
            examples=tuple(long[:EXAMPLES]),
        )
    for split, texts in facts.texts.items():
        if texts.records < FEWEST or not texts.captions:
            continue
        text, count = texts.captions.most_common(1)[0]
        if count >= max(COMMON * texts.records, FEWEST_COPIES):
            yield Finding(
                "common-caption",
                f"{split}: {count:,} of {format_count(texts.records, 'record')} have the caption {text[:80]!r}",
                "the model learns to say it whatever it sees, and scores of captions count it as right",
                "write captions that tell objects apart, or judge by facts",
                examples=tuple(f"{other[:80]!r}: {number:,}" for other, number in texts.captions.most_common(5)),
            )


def _judge_priors(facts: SetFacts, floors: Scores) -> Iterator[Finding]:
    for name, scores in floors.items():
        sources = {source: value for source, value in scores.items() if source not in ("questions", "chance")}
        best = max(sources, key=lambda source: sources[source])
        if scores["questions"] >= FEWEST and sources[best] >= PRIOR:
            yield Finding(
                "answer-prior",
                f"benchmark {name}: the training text alone ({best}) scores {sources[best]:.1%}, chance "
                f"{scores['chance']:.1%}",
                "a model that ignores the cloud scores as much; compare every score with the blind one",
                "balance the answers, or report what the cloud adds",
            )
    high = [prior for prior in facts.priors if prior.answers >= FEWEST and prior.share >= PRIOR]
    if high:
        yield Finding(
            "answer-prior",
            f"{format_count(len(high), 'question')} whose most common training answer is right for at least "
            f"{PRIOR:.0%} of the test answers",
            "a model that ignores the cloud answers them as well",
            "balance the answers, or leave these questions out",
            examples=tuple(
                f"{prior.question[:60]!r} → {prior.guess[:40]!r}: {prior.share:.0%} of {prior.answers:,}"
                for prior in high[:EXAMPLES]
            ),
        )


def _collect_cloud_findings(clouds: list[SampledCloud]) -> Iterator[Finding]:
    """The first finding of each kind, with the number and the names of the clouds that have it."""
    by_kind: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for cloud in clouds:
        for finding in cloud.findings:
            by_kind[finding.kind].append((cloud.record_id, finding))
    for kind, found_in in by_kind.items():
        name, first = found_in[0]
        repairs = Repairs()
        for _, finding in found_in:
            repairs |= finding.repairs or Repairs()
        yield Finding(
            kind,
            f"{len(found_in):,} of {format_count(len(clouds), 'cloud')}; the first, {name}: {first.seen}",
            first.effect,
            first.remedy,
            repairs or None,
            all(finding.certain for _, finding in found_in),
            tuple(record_id for record_id, _ in found_in[:EXAMPLES]),
        )


def _judge_mixture(facts: SetFacts) -> Iterator[Finding]:
    valid = [each for each in facts.clouds if each.facts.valid and each.facts.radius > 0]
    if len(valid) < 2:
        return
    bare = [each.record_id for each in valid if each.facts.colors is None]
    if 0 < len(bare) < len(valid):
        yield Finding(
            "mixed-color",
            f"{len(bare):,} of {format_count(len(valid), 'cloud')} have no color",
            "the model can learn from the missing color which part of the data an object comes from; questions about "
            "color have no answer there",
            "keep clouds without color in a data set of their own, or leave questions about color out",
            examples=tuple(bare[:EXAMPLES]),
        )
    radii = np.array([each.facts.radius for each in valid])
    smallest, middle, largest = np.quantile(radii, (0, 0.5, 1))
    if largest > 1000 * smallest:
        odd = [each for each in valid if not 0.03 < each.facts.radius / middle < 30]
        yield Finding(
            "mixed-scale",
            f"radii from {smallest:.3g} to {largest:.3g} units: clouds in different units?",
            "none while clouds are normalized; with --points.normalize false the same object has different sizes",
            "keep --points.normalize true, or scale the clouds to one unit (--fix with --scale, folder by folder)",
            examples=tuple(f"{each.record_id}: {each.facts.radius:.3g}" for each in odd[:EXAMPLES]),
        )
    points = [each.facts.points for each in valid]
    if max(points) > 10 * min(points):
        few = sorted(valid, key=lambda each: each.facts.points)
        yield Finding(
            "mixed-size",
            f"from {min(points):,} to {format_count(max(points), 'point')}",
            "small clouds are filled with repeats and large ones thinned to --points.count, so their density differs",
            "sample all clouds with the same number of points",
            examples=tuple(f"{each.record_id}: {each.facts.points:,}" for each in few[:EXAMPLES]),
        )


def _judge_up(facts: SetFacts) -> Iterator[Finding]:
    guess, lead = mean_up_axis(facts.clouds)
    if guess is None or len(facts.clouds) < FEWEST:
        return
    sums = np.array(guess.probabilities).reshape(3, 2).sum(axis=1)
    axis = "xyz"[int(np.argmax(sums))]
    if axis != facts.up_axis and lead >= LEAD:
        up, down = guess.probabilities[2 * int(np.argmax(sums)) :][:2]
        direction = axis if up >= down else f"-{axis}"
        yield Finding(
            "set-up-axis",
            f"{axis} seems to point up (mean of {format_count(len(facts.clouds), 'cloud')}, {lead:.0f} standard errors "
            f"ahead), and the dataset says {facts.up_axis}",
            "turned clouds of pretraining turn about the wrong axis, height is measured along it, and a model trained "
            f"on {facts.up_axis} up sees all clouds lying on their sides",
            f"--dataset.up_axis {axis} where the dataset has this setting; or --fix with --up-axis {direction}",
            Repairs(up_axis=direction),
        )
    clear = [each for each in facts.clouds if each.facts.up_axis.axis]
    others = [each for each in clear if each.facts.up_axis.axis != axis]
    if len(clear) >= FEWEST and len(others) >= OTHERS * len(clear):
        yield Finding(
            "mixed-up-axis",
            f"{axis} seems to point up in most clouds, and another axis in {len(others):,} of {len(clear):,} with "
            "a clear one",
            "the model sees some objects upright and some lying down; it needs more data to know them in both poses",
            "rotate them to one up axis: --fix with --up-axis, folder by folder",
            examples=tuple(f"{each.record_id}: {each.facts.up_axis.axis}" for each in others[:EXAMPLES]),
        )
