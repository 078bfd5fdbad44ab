"""Opens a run: its components, its checked records and its fingerprints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from spa3d import ops
from spa3d.config.settings import RunConfig
from spa3d.pipeline.assemble import assemble, make_execution
from spa3d.pipeline.caches import Caches
from spa3d.pipeline.data_checks import DataChecks, RunData, unchecked_data
from spa3d.pipeline.fingerprints import run_fingerprints
from spa3d.pipeline.parts import Fingerprints
from spa3d.pipeline.run import Run
from spa3d.registry.registry import Registry
from spa3d.runtime import distributed
from spa3d.runtime.progress import Reporter, SilentReporter


def open_run(
    config: RunConfig,
    registry: Registry,
    *,
    output: Path,
    reporter: Reporter | None = None,
    check_data: bool = True,
) -> Run:
    """Build the components of a run and check its records; nothing is written yet.

    Args:
        config: of the run.
        registry: source of its components.
        output: the run's folder.
        reporter: where progress goes.
        check_data: with ``on_bad_data`` ``skip``, read each record and leave bad ones out; false: keep all.

    """
    # Bars and notices of transformers would hide the messages of the run.
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    if config.threads:
        torch.set_num_threads(config.threads)
    execution, progress = make_execution(config, registry), reporter or SilentReporter()
    parts = assemble(config, registry, execution)
    distributed.join(cpu=execution.device.type == "cpu")
    checks = DataChecks(parts, blind=config.blind, reporter=progress)
    with ops.use(*execution.ops):
        data = checks.read() if check_data else unchecked_data(parts)
    parts.dataset.file_hashes = execution.workspace.file_hashes(progress)
    fingerprints = _compute_fingerprints(partial(run_fingerprints, config, registry, parts, execution), data)
    return Run(config, registry, Caches(parts, execution, fingerprints), data, output, progress)


def _compute_fingerprints(compute: Callable[..., Fingerprints], data: RunData) -> Fingerprints:
    """Compute the fingerprints; only the first of several processes reads new files."""
    result: list[Fingerprints] = []
    distributed.run_in_first(lambda: result.append(compute(left_out=data.left_out)))
    return result[0] if result else compute(left_out=data.left_out)
