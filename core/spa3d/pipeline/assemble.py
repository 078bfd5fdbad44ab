"""From a `RunConfig` to live objects: the only place that imports targets and calls constructors.

Everything that can be found wrong without data is found here: parts that do not fit, an objective that asks for what
this run cannot give, a device that is not there.
"""

from __future__ import annotations

from spa3d import ops
from spa3d.config.settings import RunConfig
from spa3d.contracts.encoder import Encoder
from spa3d.contracts.objective import Objective
from spa3d.errors import ConfigError
from spa3d.ops.selection import backends_for
from spa3d.pipeline.checks import _objective_faults, _part_faults, _stage_faults, _weights_faults
from spa3d.pipeline.parts import Assembly, _create, _load_weights, make_dataset, make_noise
from spa3d.registry.registry import Registry
from spa3d.runtime.device import choose_device


def assemble(config: RunConfig, registry: Registry) -> Assembly:
    """Build the parts of a run; raises one `ConfigError` with everything that does not fit."""
    device = choose_device(config.device)
    dataset = make_dataset(config, registry)
    objective: Objective = _create(registry, "objective", config.objective)
    encoder: Encoder = _create(registry, "encoder", config.encoder)
    assembly = Assembly(
        config=config,
        registry=registry,
        device=device,
        bf16=config.dtype == "bfloat16" or (config.dtype == "auto" and device.type == "cuda"),
        ops=backends_for(config.ops, device.type, registry),
        dataset=dataset,
        noise=make_noise(config, registry),
        objective=objective,
        sft=registry.target(registry.get("objective", "sft"))(),
        benchmarks={chosen.asked: _create(registry, "benchmark", chosen) for chosen in config.benchmark},
        num_points=config.points.count or int(getattr(dataset.config, "points", 0)),
        min_points=encoder.min_points,
        inputs=encoder.inputs,
        weights=_load_weights(config, registry, encoder),
    )
    with ops.use(*assembly.ops):
        parts = _part_faults(assembly, encoder.eval())
    faults = [*_weights_faults(config), *_objective_faults(config, objective, dataset), *_stage_faults(config), *parts]
    if faults:
        raise ConfigError(faults)
    return assembly
