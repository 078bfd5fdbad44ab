"""Sentence about the course of post-training, from `spa3d.evaluation.training_health`."""

from __future__ import annotations

from spa3d.rendering.numbers import MINUS, format_percent
from spa3d.report.document import Course, Health

MOVED_LOGP = 0.005
"""Smallest change of held-out log p that counts, in nats per token."""
MOVED_MARGIN = 0.05
"""Smallest rise of the margin that counts, in nats per answer."""
SATURATED = 0.9
LOOPING = 0.02
"""Smallest rise of the share of repeated trigrams that is reported."""


def describe_health(health: Health) -> str:
    """Describe the course of training in one sentence; empty without probes."""
    if health.logp_clean is None:
        return ""
    clauses = [_likelihood(health.logp_clean, health.margin)]
    if health.saturation and health.saturation.last > SATURATED:
        clauses.append(
            f"{format_percent(health.saturation.last)} % of the contrasts are saturated and no longer train the model"
        )
    if health.repetition and health.repetition.last - health.repetition.first > LOOPING:
        shares = " → ".join(format_percent(share) for share in (health.repetition.first, health.repetition.last))
        clauses.append(f"generated answers repeat themselves (repeated trigrams {shares} %)")
    if health.stopped is not None:
        clauses.append(f"training was stopped at step {health.stopped}, when the watchdog fired")
    if health.kept is not None:
        clauses.append(f"the weights of step {health.kept} were kept, the best on held-out records")
    return f"{'; '.join(clauses)}."


def _likelihood(logp: Course, margin: Course | None) -> str:
    moved, span = logp.last - logp.first, f"log p {_nats(logp)} nats per token"
    if margin is None:
        return f"Held-out right answers {_verb(moved)} ({span})"
    spread = f"margin over the noised cloud {_nats(margin)} nats"
    wider = margin.last - margin.first > MOVED_MARGIN
    if wider and moved < -MOVED_LOGP:
        return (
            f"The margin rose, but only because the right answers became less likely, and even less so with the noised "
            f"cloud ({spread}, {span})"
        )
    if wider and moved <= MOVED_LOGP:
        return (
            f"The model separates clean from noised clouds better, with answers as likely as before ({spread}, {span})"
        )
    return f"Held-out right answers {_verb(moved)} ({span}; {spread})"


def _verb(moved: float) -> str:
    if abs(moved) <= MOVED_LOGP:
        return "are as likely as before"
    return "became more likely" if moved > 0 else "became less likely"


def _nats(course: Course) -> str:
    # Adding 0.0 turns -0.0 into 0.0.
    return " → ".join(f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS) for value in (course.first, course.last))
