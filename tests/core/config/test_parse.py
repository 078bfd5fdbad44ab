from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spa3d.config.parse import Invocation, parse
from spa3d.config.settings import RunConfig
from spa3d.errors import ConfigError, PluginError, RegistryError, SpaError


@pytest.fixture(autouse=True)
def _toys(toy_registry: Path) -> None:
    """Every test here chooses among toys, in an empty folder."""


def config(*argv: str) -> RunConfig:
    return parse(argv).config


def errors(*argv: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(argv)
    return list(caught.value.errors)


def error(*argv: str) -> str:
    messages = errors(*argv)
    assert len(messages) == 1, messages
    return messages[0]


def write(text: str) -> str:
    Path("run.yaml").write_text(text)
    return "run.yaml"


PLUGIN = """
from spa3d import Component, Noise, hookimpl


class Whisper(Noise):
    def apply(self, points, draws):
        return points


@hookimpl
def spa3d_components():
    yield Component("noise", "whisper", "STEM:Whisper", "Nearly nothing")
"""


def write_plugin(stem: str) -> str:
    """A plugin file; every test has a stem of its own, as a module stays loaded for the process."""
    Path(f"{stem}.py").write_text(PLUGIN.replace("STEM", stem))
    return f"{stem}.py"


class TestNames:
    def test_defaults_of_the_registry(self) -> None:
        filled = config()
        assert (filled.encoder.requested, filled.objective.requested, filled.llm_name) == ("plain", "fit", "small")
        assert [chosen.requested for chosen in filled.benchmark] == ["pick", "tell"]
        assert filled.preset == "short"

    def test_preset_is_kept_beside_its_component(self) -> None:
        chosen = config("--encoder", "plain-wide").encoder
        assert (chosen.requested, chosen.component, chosen.preset, chosen.config["width"]) == (
            "plain-wide",
            "plain",
            "plain-wide",
            32,
        )

    def test_encoder_preset_sets_points(self) -> None:
        assert config("--encoder", "plain-wide").points.missing_color == 0.4
        assert config("--encoder", "plain").points.missing_color == 0
        assert config("--encoder", "plain-wide", "--points.missing_color", "0.1").points.missing_color == 0.1

    def test_default_preset_is_recorded(self) -> None:
        chosen = config("--encoder", "plain").encoder
        assert (chosen.requested, chosen.component, chosen.preset, chosen.config["width"]) == (
            "plain",
            "plain",
            "plain-tiny",
            4,
        )
        assert config("--encoder", "plain", "--preset", "long").encoder.config["width"] == 8

    def test_flags_win_over_yaml_over_defaults(self) -> None:
        path = write("encoder: other\nobjective: prefer\n")
        filled = config("--config", path, "--encoder", "plain-wide")
        assert (filled.encoder.requested, filled.objective.requested, filled.noise.requested) == (
            "plain-wide",
            "prefer",
            "quiet",
        )

    def test_several_benchmarks_in_order(self) -> None:
        assert [chosen.requested for chosen in config("--benchmark", "tell, pick").benchmark] == ["tell", "pick"]
        assert "named twice" in error("--benchmark", "tell,tell")

    def test_unknown_name_names_flag_or_line(self) -> None:
        assert error("--encoder", "plane").startswith("--encoder plane: no encoder 'plane'; did you mean 'plain'")
        assert error("--config", write("seed: 1\nnoise: quite\n")).startswith(
            "run.yaml:2 noise: no noise 'quite'; did you mean 'quiet'?"
        )
        assert "did you mean 'short'?" in error("--preset", "shrot")

    def test_missing_or_broken_component_names_the_flag(self) -> None:
        assert "pip install kernel-nobody-has" in error("--noise", "compiled")
        assert error("--noise", "unfinished").startswith("--noise unfinished: noise 'unfinished' (built-in): ")


class TestFlags:
    def test_every_kind_of_flag(self) -> None:
        argv = (
            "--seed 3 --noise.level 0.5 --encoder.width=16 --encoder.inputs xyz,rgb --encoder.scale none "
            "--benchmark.pick.limit 7 --points.count 128 --train.learning-rate 1e-3 --base.instruct.epochs 2.5 "
            "--base.seed 4 --llm.layers 2 --evaluate.split val --on-bad-data skip --cache-limit-gb 3 --blind "
            "--no-cache --output out --resume --dry-run --debug --encoder.stem.depth 3"
        )
        invocation = parse(argv.split())
        filled = invocation.config
        assert filled.seed == 3
        assert filled.noise.config["level"] == 0.5
        assert filled.encoder.config["width"] == 16
        assert filled.encoder.config["inputs"] == ["xyz", "rgb"]
        assert filled.encoder.config["scale"] is None
        assert filled.encoder.config["stem"] == {"depth": 3}
        assert [chosen.config["limit"] for chosen in filled.benchmark] == [7, 0]
        assert (filled.points.count, filled.train.learning_rate, filled.base.instruct.epochs) == (128, 1e-3, 2.5)
        assert (filled.base.seed, filled.llm.layers, filled.evaluate.split) == (4, 2, "val")
        assert (filled.on_bad_data, filled.cache_limit_gb, filled.blind, filled.cache) == ("skip", 3.0, True, False)
        assert invocation == Invocation(filled, invocation.registry, output=Path("out"), resume=True, dry_run=True)

    def test_a_switch_may_be_turned_back(self) -> None:
        path = write("blind: true\ncache: false\n")
        assert config("--config", path).blind
        turned = config("--config", path, "--no-blind", "--cache")
        assert (turned.blind, turned.cache) == (False, True)

    def test_base_is_short_for_its_path(self) -> None:
        Path("saved").mkdir()
        assert config("--base", "saved").base.path == "saved"
        assert config("--config", write("base: saved\n")).base.path == "saved"
        assert error("--base", "gone").startswith("--base gone: no such folder")
        assert error("--config", write("base:\n  path: gone\n")).startswith("run.yaml:2 base.path: no such folder")

    def test_an_llm_is_a_preset_or_a_folder_or_a_hub_name(self) -> None:
        Path("llama").mkdir()
        assert config("--llm", "small").llm.hidden_size == 16
        by_path = config("--llm", "llama", "--llm.max_length", "64")
        assert (by_path.llm_name, by_path.llm.path, by_path.llm.max_length) == ("llama", "llama", 64)
        assert config("--llm", "someone/their-model").llm.path == "someone/their-model"
        assert "did you mean 'small'?" in error("--llm", "smal")
        assert "nor is there a folder of that name" in error("--llm", "llama/gone")

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            ("--noise.level 2", "--noise.level 2: '2' is not allowed; possible: number ≥ 0 and ≤ 1"),
            ("--noise.level nan", "--noise.level nan: 'nan' is not allowed"),
            ("--train.learning_rate inf", "--train.learning_rate inf: 'inf' is not allowed"),
            ("--seed three", "--seed three: 'three' is not allowed; possible: integer ≥ 0"),
            ("--encoder.width 3.5", "--encoder.width 3.5: '3.5' is not allowed; possible: integer ≥ 1 and ≤ 64"),
            ("--encoder.width 7", "defaults.encoder): norm needs an even width"),
            ("--encoder plain --encoder.width 7", "--encoder plain: norm needs an even width"),
            ("--encoder.inputs xyz,rbg", "did you mean 'rgb'?"),
            ("--encoder.widht 3", "--encoder.widht 3: no field 'widht'; did you mean 'width'? possible: width, inputs"),
            ("--benchmark.pick.limt 3", "did you mean 'limit'?"),
            ("--benchmark.pack.limit 3", "--benchmark.pack.limit 3: 'pack' is not chosen; chosen: pick, tell"),
            ("--train.stepz 3", "--train.stepz 3: no field 'stepz'; did you mean 'steps'?"),
            ("--train 3", "--train 3: train is a block of fields and takes no value itself"),
            ("--train.steps.x 3", "steps holds a value, so it has no fields"),
            ("--encodr plain", "--encodr plain: no flag '--encodr'; did you mean '--encoder'"),
            ("--seed.x 3", "no flag '--seed.x'; did you mean '--seed'?"),
            ("--llm_name x", "no flag '--llm_name'"),
            ("--output", "--output: its value is missing"),
            ("--output=", "--output: its value is empty"),
            ("--seed 1 --seed 2", "--seed is given twice"),
            ("--blind=3", "--blind takes no value"),
            ("plain", "'plain' is not expected here"),
            ("--device gpu", "--device gpu: "),
            ("--dtype float8", "possible: auto|float32|bfloat16"),
            ("--ops lops", "--ops lops: no ops 'lops'; did you mean 'loops'?"),
            ("--config gone.yaml", "--config gone.yaml: no such file"),
            ("--dataset files", "--dataset files: --dataset.root needs a value: text (Folder of the files)"),
        ],
    )
    def test_one_clear_message(self, argv: str, words: str) -> None:
        assert words in error(*argv.split())

    def test_all_errors_in_one_report(self) -> None:
        path = write("seed: -1\ntrain: {stepz: 3}\nencoder: {name: plain, width: 99}\n")
        argv = f"--config {path} --noise.level 2 --noise2 x --benchmark pick,gone --base nowhere --device gpu --output"
        messages = errors(*argv.split())
        starts = {each.partition(": ")[0] for each in messages}
        assert starts == {
            "run.yaml:1 seed", "run.yaml:2 train.stepz", "run.yaml:3 encoder.width", "--noise.level 2", "--noise2 x",
            "--benchmark pick,gone", "--base nowhere", "--device gpu", "--output",
        }  # fmt: skip

    def test_unknown_component_keeps_other_errors(self) -> None:
        messages = errors("--encoder", "gone", "--encoder.width", "3", "--noise.level", "2")
        assert [each.partition(":")[0] for each in messages] == ["--encoder gone", "--noise.level 2"]


class TestFillOrder:
    """Defaults < run preset < its settings for the objective < YAML < flags."""

    def test_a_partial_block_keeps_the_other_defaults(self) -> None:
        filled = config()
        assert (filled.base.encoder.epochs, filled.base.encoder.steps) == (2, 0)
        default = RunConfig.model_fields["base"].default
        assert filled.base.encoder.train == default.encoder.train
        assert filled.base.align == default.align

    def test_run_preset_settings_by_requested_objective_or_component(self) -> None:
        assert config("--objective", "prefer").train.learning_rate == 0.1
        assert config("--objective", "fit").train.learning_rate == 0.2
        assert config("--objective", "fit-hard").train.learning_rate == 0.3
        assert config("--preset", "long").train.epochs == 9

    def test_yaml_over_presets_and_flags_over_yaml(self) -> None:
        path = write("train: {learning_rate: 0.4, steps: 5}\nencoder: {width: 16}\nllm: {layers: 4}\n")
        filled = config("--config", path, "--train.steps", "6")
        assert (filled.train.learning_rate, filled.train.steps, filled.train.epochs) == (0.4, 6, 1.0)
        assert (filled.encoder.config["width"], filled.encoder.config["inputs"]) == (16, ["xyz", "rgb"])
        assert (filled.llm.layers, filled.llm.hidden_size) == (4, 16)

    def test_values_of_a_file_belong_to_the_name_in_it(self) -> None:
        path = write(
            "encoder: {name: other, width: 16}\nllm: {name: small, layers: 5}\n"
            "benchmark: [{name: tell, limit: 3}, pick]\n"
        )
        assert config("--config", path).encoder.config["width"] == 16
        assert config("--config", path, "--encoder", "plain").encoder.config["width"] == 4
        assert config("--config", path, "--encoder", "other").encoder.config["width"] == 16
        assert config("--config", path, "--llm", "a/b").llm.layers == RunConfig.model_fields["llm"].default.layers
        chosen = config("--config", path, "--benchmark", "pick,tell").benchmark
        assert [(each.requested, each.config["limit"]) for each in chosen] == [("pick", 0), ("tell", 3)]


class TestFile:
    def test_a_saved_configuration_gives_the_same_run(self) -> None:
        plugin = write_plugin("plug_saved")
        argv = (
            "--encoder.width 16 --objective fit-hard --benchmark tell --benchmark.tell.limit 3 --blind --seed 5 "
            f"--train.steps 2 --plugin {plugin} --llm a/b --noise whisper"
        )
        first = config(*argv.split())
        path = write(yaml.safe_dump(first.model_dump(mode="json"), sort_keys=False))
        assert config("--config", path) == first
        assert config("--config", path, "--seed", "6") == first.model_copy(update={"seed": 6})

    def test_saved_name_with_another_meaning(self) -> None:
        path = write("encoder: {requested: plain-wide, component: other, config: {width: 8}}\n")
        assert error("--config", path).startswith("run.yaml:1 encoder")
        assert "'plain-wide' stood for 'other' when this was saved, now for 'plain'" in error("--config", path)

    def test_empty_file_and_blocks_change_nothing(self) -> None:
        assert config("--config", write("")) == config()
        assert config("--config", write("train:\nencoder:\nplugins:\nbenchmark:\nllm:\n")) == config()

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("seed: [1\n", "run.yaml:2: not YAML"),
            ("seed: 1\nseed: 2\n", "run.yaml:2: key 'seed' is there twice, first in line 1"),
            ("- seed\n", "run.yaml: expected a block of `key: value` lines"),
            ("\n\nsede: 1\n", "run.yaml:3 sede: no field 'sede'; did you mean 'seed'?"),
            ("train: 3\n", "run.yaml:1 train: train is a block of fields"),
            ("encoder: 3\n", "run.yaml:1 encoder: expected a name, found 3"),
            (
                "encoder: {requested: plain, width: 3}\n",
                "run.yaml:1 encoder.width: no such key beside component",
            ),
            ("encoder: {requested: plain, config: 3}\n", "encoder.config: expected a block of fields"),
            ("benchmark: [{limit: 3}]\n", "run.yaml:1 benchmark.0: no benchmark is named"),
            ("encoder:\n  width: wide\n", "run.yaml:2 encoder.width: 'wide' is not allowed"),
            ("base:\n  align:\n    epochs: -1\n", "run.yaml:3 base.align.epochs: -1 is not allowed"),
            ("plugins: gone.py\n", "--plugin gone.py: no such file"),
        ],
    )
    def test_error_names_file_line_and_key(self, text: str, words: str) -> None:
        with pytest.raises(SpaError) as caught:
            parse(["--config", write(text)])
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_error_in_the_registry_names_its_line(self, toy_registry: Path) -> None:
        text = toy_registry.read_text().replace("train: {epochs: 9}", "train: {epochs: 9, stepz: 1}")
        toy_registry.write_text(text.replace("config: {width: 32}", "config: {width: 320}"))
        messages = errors("--preset", "long", "--encoder", "plain-wide")
        assert any("registry.yaml:" in each and "presets.run.long.settings.train.stepz" in each for each in messages)
        assert any("presets.encoder.plain-wide.config.width: 320 is not allowed" in each for each in messages)


class TestCheckpoint:
    """Source of an encoder's weights: a setting of the run, beside the encoder's own."""

    @pytest.fixture(autouse=True)
    def _weights(self) -> None:
        Path("w.pt").touch()
        Path("v.pt").touch()

    @pytest.mark.parametrize(
        ("text", "argv"),
        [
            ("", "--encoder.checkpoint w.pt"),
            ("encoder: {name: plain, checkpoint: w.pt}\n", ""),
            ("encoder: {checkpoint: w.pt}\n", "--encoder plain"),
            ("encoder: {checkpoint: v.pt}\n", "--encoder.checkpoint w.pt"),
        ],
    )
    def test_checkpoint_from_flag_or_file_is_no_encoder_setting(self, text: str, argv: str) -> None:
        chosen = config("--config", write(text), *argv.split()).encoder
        assert (chosen.requested, chosen.checkpoint) == ("plain", "w.pt")
        assert "checkpoint" not in chosen.config

    def test_checkpoint_is_saved_beside_the_config(self) -> None:
        first = config("--encoder.checkpoint", "w.pt", "--encoder.width", "16")
        path = write(yaml.safe_dump(first.model_dump(mode="json"), sort_keys=False))
        assert config("--config", path) == first
        assert config("--config", path, "--encoder.checkpoint=").encoder.checkpoint == ""

    def test_checkpoint_of_a_file_belongs_to_its_encoder(self) -> None:
        path = write("encoder: {name: other, checkpoint: w.pt}\n")
        assert config("--config", path).encoder.checkpoint == "w.pt"
        assert config("--config", path, "--encoder", "plain").encoder.checkpoint == ""

    @pytest.mark.parametrize(
        ("argv", "words"),
        [
            (
                "--encoder.checkpoint gone.pt",
                "--encoder.checkpoint gone.pt: no such file or folder; the published weights of plain-tiny are ti",
            ),
            (
                "--encoder other --encoder.checkpoint gone.pt",
                "--encoder.checkpoint gone.pt: no such file or folder; give a file of weights",
            ),
            ("--noise.checkpoint w.pt", "--noise.checkpoint w.pt: no field 'checkpoint'"),
        ],
    )
    def test_missing_checkpoint_names_published_weights(self, argv: str, words: str) -> None:
        assert error(*argv.split()).startswith(words)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("encoder: {name: other, checkpoint: gone.pt}\n", "run.yaml:1 encoder.checkpoint: no such file or folder"),
            ("encoder:\n  name: plain\n  checkpoint: 3\n", "run.yaml:3 encoder.checkpoint: 3 is no file"),
            ("encoder: {requested: plain, checkpoint: [w.pt]}\n", "run.yaml:1 encoder.checkpoint: ['w.pt'] is no file"),
            (
                "noise: {requested: quiet, checkpoint: w.pt}\n",
                "run.yaml:1 noise.checkpoint: no such key",
            ),
        ],
    )
    def test_checkpoint_error_names_its_line(self, text: str, words: str) -> None:
        assert error("--config", write(text)).startswith(words)

    def test_encoder_with_a_checkpoint_field_is_rejected(self) -> None:
        Path("plug_own.py").write_text(
            """
from spa3d import Component, ComponentConfig, hookimpl
from toy_parts import ToyEncoder

class Own(ToyEncoder):
    class Config(ComponentConfig):
        checkpoint: str = ""

@hookimpl
def spa3d_components():
    yield Component("encoder", "own", "plug_own:Own", "Loads itself")
"""
        )
        assert "has a setting called checkpoint, which is the run's own word" in error(
            "--plugin", "plug_own.py", "--encoder", "own"
        )


class TestPlugins:
    def test_one_unpackaged_plugin_for_this_run(self) -> None:
        plugin = write_plugin("plug_once")
        invocation = parse(["--plugin", plugin, "--noise", "whisper", "--noise.level", "0.1"])
        assert invocation.config.plugins == ("plug_once.py",)
        component = invocation.registry.get("noise", "whisper")
        assert str(invocation.registry.origin(component)) == "plug_once.py"
        assert invocation.registry.target(component).__name__ == "Whisper"

    def test_name_of_a_plugin_not_loaded_is_unknown(self) -> None:
        assert error("--noise", "whisper").startswith("--noise whisper: no noise 'whisper'")

    def test_missing_plugin(self) -> None:
        with pytest.raises(PluginError, match=r"--plugin gone\.py: no such file"):
            parse(["--plugin", "gone.py"])

    def test_registry_adds_a_file_that_is_recorded(self) -> None:
        preset = "{plain-12: {component: plain, config: {width: 12}}}"
        extra = f"version: 1\ndefaults: {{objective: prefer}}\npresets: {{encoder: {preset}}}\n"
        Path("extra.yaml").write_text(extra)
        result = config("--registry", "extra.yaml", "--encoder", "plain-12")
        assert (result.registry, result.objective.requested, result.encoder.preset) == (
            "extra.yaml",
            "prefer",
            "plain-12",
        )
        assert result.encoder.config["width"] == 12
        saved = write(yaml.safe_dump(result.model_dump(mode="json")))
        assert config("--config", saved) == result
        assert config("--config", write("registry: gone.yaml\n"), "--registry", "extra.yaml").registry == "extra.yaml"
        assert error("--encoder", "plain-12").startswith("--encoder plain-12: no encoder 'plain-12'")
        assert error("--config", write("registry: [a]\n")).startswith("run.yaml:1 registry: expected a name")
        with pytest.raises(RegistryError, match=r"--registry gone\.yaml: no such file"):
            parse(["--registry", "gone.yaml"])

    def test_a_registry_without_defaults_asks_for_names(self, toy_registry: Path) -> None:
        text = toy_registry.read_text()
        start, end = text.index("defaults:"), text.index("presets:")
        toy_registry.write_text(text[:start] + text[end:])
        messages = errors()
        assert "no encoder is chosen, and registry.yaml has no default: give --encoder NAME" in messages
        assert sum("has no default" in each for each in messages) == 8
