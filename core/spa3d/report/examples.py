"""What an example shows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32


@dataclass(frozen=True)
class Example:
    """One question about one cloud and what the model said to it.

    Attributes:
        record_id: whose cloud it is.
        question: the prompt.
        reference: the right answer.
        before: the answer before post-training.
        after: the answer after it; empty where there is none yet.
        blind: the answer after it (or before, where that is all there is) without the cloud.
        clean: ``(N, 6)`` float32, xyz and rgb in [0, 1].
        noised: ``(M, 6)`` float32 in the same frame, after the run's noise.

    """

    record_id: str
    question: str
    reference: str
    before: str
    after: str
    blind: str
    clean: Float32[np.ndarray, "N 6"] = field(repr=False)
    noised: Float32[np.ndarray, "M 6"] = field(repr=False)
