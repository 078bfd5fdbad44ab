"""Table of the kinds of components, for the registry, the list and the command line.

A kind that a run chooses once or several times also needs a field in `RunConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Choice = Literal["one", "several", "per device", "none"]
"""Number of components of a kind in a run; "per device": one backend per type of device, by name or ``auto``."""

CHECKPOINT = "checkpoint"
"""Setting of a run beside a component's own fields: the file of its weights."""


@dataclass(frozen=True)
class KindSpec:
    """One kind of components.

    Attributes:
        name: name after ``--`` and in registry.yaml; ``[0-9]*[a-z][a-z0-9-]*``.
        plural: plural of the name.
        contract: ``"module:Class"`` of the abstract base class; imported only when a target is checked.
        choice: number of components of this kind in a run.
        build_arguments: names of the integer arguments of a constructor beside the fields of its ``Config``.
        has_weights: whether a run may load weights into it. If so, ``checkpoint`` is a setting of the run, and presets
            may name published ``weights``.
        prepares_clouds: whether its presets may have ``points``, settings for the preparation of clouds.

    """

    name: str
    plural: str
    contract: str
    choice: Choice
    build_arguments: tuple[str, ...] = ()
    has_weights: bool = False
    prepares_clouds: bool = False

    @property
    def contract_name(self) -> str:
        """Name of the contract's class in ``spa3d``."""
        return self.contract.partition(":")[2]

    @property
    def reserved_names(self) -> tuple[str, ...]:
        """Names forbidden as fields of a ``Config``, because they are settings of the run."""
        return (CHECKPOINT,) if self.has_weights else ()


SPECS = (
    KindSpec("encoder", "encoders", "spa3d.contracts.encoder:Encoder", "one", has_weights=True, prepares_clouds=True),
    KindSpec(
        "projector",
        "projectors",
        "spa3d.contracts.projector:Projector",
        "one",
        build_arguments=("dim", "hidden"),  # widths of the encoder's tokens and of the LLM
    ),
    KindSpec("noise", "noises", "spa3d.contracts.noise:Noise", "one"),
    KindSpec("objective", "objectives", "spa3d.contracts.objective:Objective", "one"),
    KindSpec("dataset", "datasets", "spa3d.contracts.dataset:Dataset", "one"),
    KindSpec("benchmark", "benchmarks", "spa3d.contracts.benchmark:Benchmark", "several"),
    KindSpec("judge", "judges", "spa3d.contracts.judge:Judge", "none"),
    KindSpec("ops", "ops", "spa3d.contracts.ops:Ops", "per device"),
)
"""Every kind, in the order of lists and pages."""

KINDS = tuple(spec.name for spec in SPECS)
"""Names of all kinds."""
CHOSEN_ONCE = tuple(spec.name for spec in SPECS if spec.choice == "one")
"""Kinds of which a run takes one component: ``--encoder NAME``."""
CHOSEN_SEVERAL = tuple(spec.name for spec in SPECS if spec.choice == "several")
"""Kinds of which a run takes several, in order: ``--benchmark NAME,NAME``; settings are keyed by name."""
CHOSEN = (*CHOSEN_ONCE, *CHOSEN_SEVERAL)
"""Kinds with a field in `RunConfig`."""

_BY_NAME = {spec.name: spec for spec in SPECS}


def kind_spec(kind: str) -> KindSpec:
    """Look up the row of `kind`; raises KeyError if there is none."""
    return _BY_NAME[kind]


def settings_keys(kind: str, name: str) -> tuple[str, ...]:
    """Keys of a component's settings: its kind, and its name if a run takes several of them."""
    return (kind, name) if kind in CHOSEN_SEVERAL else (kind,)
