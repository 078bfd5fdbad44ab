"""Table of the kinds of components; a kind that stands here is known to the registry, the list and the command line.

`RunConfig` alone names its components itself: a kind chosen once or several times also needs a field there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Choice = Literal["one", "several", "per device", "none"]
"""How many components of a kind a run takes; "per device": a backend for each type of device, by name or ``auto``."""

CHECKPOINT = "checkpoint"
"""Setting of a run beside a component's own fields: the file that its weights come from."""


@dataclass(frozen=True)
class KindSpec:
    """One kind of components.

    Attributes:
        name: what stands after ``--`` and in registry.yaml; ``[a-z][a-z0-9-]*``.
        plural: the name for several of it.
        contract: ``"module:Class"`` of the abstract base class; imported only when a target is checked.
        choice: how many of it a run takes.
        build_arguments: names of the integers that a constructor takes beside the fields of its ``Config``.
        has_weights: a run may load weights into it: the setting ``checkpoint`` is the run's, and presets may name
            published ``weights``.
        prepares_clouds: its presets may carry ``points``, settings of how clouds are prepared.

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
        """The class of the contract, as it is called in ``spa3d``."""
        return self.contract.partition(":")[2]

    @property
    def reserved(self) -> tuple[str, ...]:
        """Names that no field of a ``Config`` may have, because they are settings of the run."""
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
"""Kinds of which a run takes some, in order: ``--benchmark NAME,NAME``; their settings stand under their names."""
CHOSEN = (*CHOSEN_ONCE, *CHOSEN_SEVERAL)
"""Kinds whose components stand in a `RunConfig`."""

_BY_NAME = {spec.name: spec for spec in SPECS}


def kind_spec(kind: str) -> KindSpec:
    """The row of `kind`; raises KeyError for a name that is no kind."""
    return _BY_NAME[kind]


def settings_keys(kind: str, name: str) -> tuple[str, ...]:
    """Where the settings of a chosen component stand: under its kind, of kinds chosen several times under its name."""
    return (kind, name) if kind in CHOSEN_SEVERAL else (kind,)
