"""Assembly: errors before any data are read, and the parts of a base's key."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from spa3d.artifacts.sources import source_files
from spa3d.config.resolve import resolve
from spa3d.contracts.objective import Need
from spa3d.errors import CheckpointError, ConfigError, PluginError, SpaError
from spa3d.pipeline import build_base
from spa3d.pipeline.assemble import assemble, make_execution
from spa3d.pipeline.parts import Execution, Parts
from spa3d.registry.registry import load_registry
from spa3d.runtime.device import choose_device
from spa3d_plugins.encoders.pointnext import PointNeXt
from spa3d_plugins.objectives.sft import SFT
from spa3d_plugins.projectors.mlp import MLP


def build(settings: Mapping[str, Any] | None = None) -> tuple[Parts, Execution]:
    config, registry = resolve({"preset": "smoke"}, settings or {}), load_registry()
    execution = make_execution(config, registry)
    return assemble(config, registry, execution), execution


def test_choose_device_names_the_available_devices() -> None:
    with pytest.raises(ConfigError, match=r"cuda:7.*there is: auto, cpu"):
        choose_device("cuda:7")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"points.count": 4}, "at least"),
        ({"train.batch_size": 3, "train.accumulation": 2}, "train.batch_size 3"),
        ({"base.encoder.accumulation": 2}, "--base.encoder.accumulation 2: encoder pointnext has batch normalization"),
        ({"blind": True}, "--blind"),
        ({"base.llm.train": "projector"}, "--base.llm.train projector: this stage trains the llm alone"),
        ({"base.encoder.train": "encoder,llm"}, "--base.encoder.train encoder,llm: this stage trains the encoder"),
        ({"llm.max_length": 16, "points.count": 2048}, "--llm.max_length 16: a cloud takes"),
        ({"train.lora.rank": 2, "train.train": "projector"}, "--train.lora.rank 2: adapters train the LLM"),
        ({"train.lora.rank": 2, "train.lora.targets": "nope"}, "--train.lora.targets nope: .*there are: down_proj"),
    ],
)
def test_assemble_raises_before_anything_is_built(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(SpaError, match=message):
        build(settings)


def test_objective_errors_names_the_existing_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SFT, "needs", (Need(), Need(view="depth")))
    with pytest.raises(ConfigError, match="--objective sft: it needs the view depth, and there are blind, clean"):
        build({"objective": "sft"})


def test_assemble_tries_parts_with_the_requested_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spa3d.ops.dispatch.default_for", lambda device: pytest.fail("nobody asked for the fastest"))
    assert [type(backend).__name__ for backend in build({"ops": "torch"})[1].ops] == ["TorchOps"]


def test_weights_of_another_encoder_are_refused_with_the_flag(tmp_path: Path) -> None:
    torch.save(PointNeXt().state_dict(), tmp_path / "full.pt")
    with pytest.raises(CheckpointError) as caught:
        build({"encoder.checkpoint": str(tmp_path / "full.pt")})
    message = str(caught.value)
    assert message.startswith(
        f"--encoder.checkpoint {tmp_path / 'full.pt'}: its weights (bare layout) are not those of "
    )
    assert "of encoder pointnext (here pointnext-tiny): " in message
    assert message.endswith("They fit --encoder pointnext-ulip, with the settings it comes with")


def test_assemble_refuses_a_base_and_encoder_weights_together(tmp_path: Path) -> None:
    (tmp_path / "enc.pt").touch()
    with pytest.raises(ConfigError, match=r"--encoder.checkpoint .*enc.pt: --base .* brings the weights of its own"):
        build({"base": str(tmp_path), "encoder.checkpoint": str(tmp_path / "enc.pt")})


def test_assemble_raises_all_errors_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"blind": True, "train.batch_size": 3, "train.accumulation": 2})
    assert len(caught.value.errors) == 2


def test_the_key_of_a_base_follows_what_its_parts_import() -> None:
    parts, _ = build()
    modules = [sys.modules[type(part).__module__] for part in (parts.dataset, parts.make_encoder())]
    files = {path.name for path in source_files(build_base, *modules)}
    assert {"shapes.py", "objects.py", "text.py", "pointnext.py", "trainer.py", "modeling.py"} <= files
    assert {"preparation.py", "views.py"} <= files
    assert not {"mask.py", "spa.py", "markdown.py", "choice.py"} & files


def test_a_batch_must_go_evenly_to_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match=r"train.batch_size 8 cannot be split .* among 3 processes"):
        build({"train.batch_size": 8})


@pytest.mark.parametrize("number", [None, -1, 4.0, 0, True, "8"])
@pytest.mark.parametrize("part", [PointNeXt, MLP])
def test_part_errors_refuses_numbers_of_tokens_that_are_no_count(
    monkeypatch: pytest.MonkeyPatch, part: type, number: object
) -> None:
    monkeypatch.setattr(part, "num_tokens", lambda self, settings_given: number)
    with pytest.raises(ConfigError, match=rf"num_tokens\(\d+\) is {number!r}; it must be a whole number above 0"):
        build()


@pytest.mark.parametrize("inputs", [("nope",), (), ("xyz", "xyz"), None, "xyz"])
def test_part_errors_refuses_inputs_that_are_no_channels(monkeypatch: pytest.MonkeyPatch, inputs: object) -> None:
    monkeypatch.setattr(PointNeXt, "inputs", inputs)
    with pytest.raises(SpaError, match=r"inputs is .*; it must list different channels among xyz, rgb, height"):
        build()


def test_part_errors_refuses_tokens_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = PointNeXt.forward
    monkeypatch.setattr(PointNeXt, "forward", lambda self, points: forward(self, points) * float("nan"))
    with pytest.raises(ConfigError, match="--encoder pointnext: expected finite numbers, got NaN or infinity"):
        build()


@pytest.mark.parametrize("part", ["encoder", "projector"])
@pytest.mark.parametrize(
    ("forward", "error", "message"),
    [
        (lambda self, inputs: inputs[:, :1, :5], ConfigError, "expected an output of shape"),
        (lambda self, inputs: None, ConfigError, "expected a tensor, got NoneType"),
        (lambda self, inputs: (inputs, inputs), ConfigError, "expected a tensor, got tuple"),
        (lambda self, inputs: inputs.no_such_thing, PluginError, "it fails on an input of shape"),
        (lambda self, inputs: sys.exit(0), PluginError, r".* a component may not end the program \(SystemExit: 0\)"),
    ],
)
def test_shape_mismatch_names_the_flag(
    monkeypatch: pytest.MonkeyPatch, part: str, forward: object, error: type[SpaError], message: str
) -> None:
    monkeypatch.setattr({"encoder": PointNeXt, "projector": MLP}[part], "forward", forward)
    with pytest.raises(error, match=rf"--{part} (pointnext|mlp): {message}"):
        build()
