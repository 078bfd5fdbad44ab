"""Runs and preference pairs from settings; implements `spa3d.run` and `spa3d.make_pairs`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spa3d import ops
from spa3d.artifacts.run_folder import link_latest
from spa3d.config.resolve import load_registry_of, resolve
from spa3d.config.settings import RunConfig
from spa3d.config.sources import Settings, read_source
from spa3d.errors import ConfigError, contain_exit
from spa3d.pipeline.bad_records import list_bad_records
from spa3d.pipeline.open_run import open_run
from spa3d.pipeline.pairs_request import check_pairs_request
from spa3d.pipeline.run_location import default_folder
from spa3d.preferences.generate import Pairs
from spa3d.registry.registry import Registry
from spa3d.runtime.disk_space import explain_full_disk
from spa3d.runtime.progress import Reporter, SilentReporter


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: the run's folder, with report.html; `spa3d.load` takes it.

    """

    folder: Path

    @cached_property
    def report(self) -> Mapping[str, Any]:
        """The figures of the report, as report.json has them."""
        content: Mapping[str, Any] = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        return content

    @property
    def scores(self) -> Mapping[str, Mapping[str, Any]]:
        """``before``, ``after`` and ``change`` by benchmark: score, 95 % interval, blind score."""
        content: Mapping[str, Mapping[str, Any]] = self.report["benchmarks"]
        return content


def run(
    settings: Settings,
    *,
    output: Path | str | None = None,
    resume: bool = False,
    registry: Registry | None = None,
    reporter: Reporter | None = None,
) -> RunResult:
    """Run all stages: base, evaluation, post-training, evaluation, report.

    Args:
        settings: of the run; missing ones have the default values.
        output: the run's folder; None: a new one under runs/.
        resume: continue the run in `output`.
        registry: source of the components; None: registry.yaml and the installed plugins.
        reporter: where progress goes; None: nowhere.

    Raises:
        DivergenceError: numbers are no longer finite; the report says where.
        SpaError: any error of the input; finished stages stay on disk.

    """
    source = read_source(settings)
    registry = registry or load_registry_of(source)
    config = resolve(source, registry=registry)
    if resume and output is None:
        raise ConfigError("resume: say which run with output")
    folder = Path(output) if output is not None else default_folder(config, time=time.strftime("%Y%m%d-%H%M%S"))
    execute(config, registry, output=folder, resume=resume, reporter=reporter or SilentReporter())
    if output is None:
        link_latest(folder)
    return RunResult(folder)


def make_pairs(
    settings: Settings, path: Path | str, *, registry: Registry | None = None, reporter: Reporter | None = None
) -> Pairs:
    """Make the preference pairs of a run, write them to a file, and return them.

    Args:
        settings: of the run, with ``pairs.mode``: ``augmentation`` or ``corruption``.
        path: a new file of JSON lines.
        registry: source of the components; None: registry.yaml and the installed plugins.
        reporter: where progress goes; None: nowhere.

    Raises:
        SpaError: any error of the input; received answers stay in the workspace.

    """
    source, path = read_source(settings), Path(path)
    registry = registry or load_registry_of(source)
    config = resolve(source, registry=registry)
    check_pairs_request(config, path)
    return execute_pairs(config, registry, path=path, reporter=reporter or SilentReporter())


@contain_exit()
def execute(config: RunConfig, registry: Registry, *, output: Path, resume: bool, reporter: Reporter) -> Path:
    """Run all stages and return the run's folder.

    Raises:
        SpaError: any error of the input; finished stages stay on disk.

    """
    with explain_full_disk(output), list_bad_records(config, registry, reporter):
        opened = open_run(config, registry, output=output, reporter=reporter)
        with ops.use(*opened.execution.ops):
            opened.run_all(resume=resume)
    return output


@contain_exit()
def execute_pairs(config: RunConfig, registry: Registry, *, path: Path, reporter: Reporter) -> Pairs:
    """Make the preference pairs of a run of `config`, and write them to `path`.

    Raises:
        SpaError: any error of the input; received answers stay in the workspace.

    """
    with explain_full_disk(path.parent), list_bad_records(config, registry, reporter):
        opened = open_run(config, registry, output=path.parent, reporter=reporter)
        with ops.use(*opened.execution.ops):
            return opened.make_pairs(path)
