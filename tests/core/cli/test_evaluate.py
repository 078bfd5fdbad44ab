"""``spa3d evaluate``: its messages and its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from spa3d.cli import main
from spa3d.config.resolve import resolve
from spa3d.registry.plain_yaml import dump_yaml

SMALL = ["--limit", "4", "--max-tokens", "4", "--evaluate.bootstrap", "100", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPA3D_BASES", str(tmp_path / "bases"))
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    monkeypatch.setattr("spa3d.report.examples.EXAMPLES", 1)


def test_evaluate_continues_and_says_what_is_missing(
    model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["evaluate", str(model_folder), "--dataset", "shapes-smoke", "--benchmark", "choice", *SMALL]
    assert main([*command, "--shard", "2/2", "--output", "out"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("out: ")
    assert printed.endswith("new answers; still to be done: --shard 1/2\n")
    assert main([*command, "--shard", "1/2", "--output", "out"]) == 0
    assert "out/report.html  out/report.md" in capsys.readouterr().out
    monkeypatch.setattr("spa3d.inference.session.load", None)
    assert main(command) == 0  # all is answered; the folder has a name of its own
    [folder] = Path("runs").iterdir()
    assert folder.name.startswith(f"evaluate-{model_folder.name}-shapes-smoke-")
    printed = capsys.readouterr().out
    assert "(0 new answers)" in printed
    assert "choice" in printed
    assert "options are scored by log p" in printed
    assert (folder / "report.json").is_file()
    assert main([*command, "--output", "out", "--limit", "5"]) == 2
    assert main([*command[:-4], "--output", "out", "--evaluate.bootstrap", "200"]) == 2
    assert "--output out: has another evaluation (" in capsys.readouterr().err


def test_a_model_of_a_run_is_evaluated_on_its_data_by_default(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "mine"
    run.mkdir()
    (run / "model").symlink_to(model_folder / "model")
    settings = {"preset": "smoke", "device": "cpu", "benchmark": "choice", "evaluate.limit": 3, "encoder": "pointnext"}
    saved = resolve(settings, {"encoder.checkpoint": "", "evaluate.bootstrap": 100}).model_dump(mode="json")
    saved["encoder"]["checkpoint"] = "a file of another machine"
    saved["plugins"] = ["code_of_another_machine.py"]
    (run / "config.yaml").write_text(dump_yaml(saved))
    assert main(["evaluate", "mine", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "mine on shapes" in printed
    assert "classify" not in printed
    assert main(["evaluate", str(run / "model"), "--device", "cpu", "--config", "mine/config.yaml"]) == 2
    assert "code_of_another_machine.py" in capsys.readouterr().err


def test_evaluate_refuses_before_anything_is_loaded(
    model_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spa3d.inference.session.load", None)
    model, data = str(model_folder), ["--dataset", "shapes-smoke"]
    refused = {
        (): "spa3d evaluate: name a model",
        (model,): "it is not of a run, so say on which data: --dataset NAME",
        ("nothing", *data): "nothing: no 3D LLM there (no such folder)",
        (model, "more", *data): "'more' is not expected here; one model",
        (model, *data, "--benchmark", "nope"): "no benchmark 'nope'; possible: ",
        (model, "--dataset", "nope"): "no dataset 'nope'",
        (model, *data, "--split", "nope"): "no split 'nope'; possible: train, val, test, counterfactual",
        (model, *data, "--limit", "few"): "--limit few: ",
        (model, *data, "--views", "clear"): "--views clear: no view 'clear'; did you mean 'clean'?",
        (model, *data, "--views", "noised"): "--views noised: give the noise",
        (model, *data, "--shard", "3/2"): "--shard 3/2: expected i/n with i from 1 to n",
        (model, *data, "--shrad", "1/2"): "no flag '--shrad'",
        (model, *data, "--decode", "beam"): "--decode beam: possible: greedy, sample, contrast",
        (model, *data, "--decode", "contrast"): "--decode contrast: it compares the cloud with a noised one",
        (model, *data, "--decode", "greedy", "--top-k", "3"): "--top-k: no effect with --decode greedy",
        (model, *data, "--contrast-alpha", "1"): "--contrast-alpha: no effect without --decode contrast",
        (model, *data, "--samples", "0"): "--samples 0: expected a whole number from 1",
        (model, *data, "--encoder", "pointnext"): "--encoder: no effect here: the model is given; leave it out",
        (model, *data, "--points.count", "3"): "--points.count: no effect here: the model says how",
        (model, *data, "--train.steps", "3"): "--train.steps: no effect here: nothing is trained",
        (model, *data, "--blind"): "--blind: no effect here: every question is also asked without its cloud",
        (model, *data, "--config", "no.yaml"): "--config no.yaml: no such file",
        (model, *data, "--output", model): "not empty, and not an evaluation (model); choose another folder",
    }
    for argv, message in refused.items():
        assert main(["evaluate", *argv]) == 2, argv
        assert message in capsys.readouterr().err, argv


def test_evaluate_help_lists_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--help"]) == 0
    printed = capsys.readouterr().out
    names = ("benchmark", "dataset", "output", "split", "views", "shard", "decode", "samples", "on-bad-data", "plugin")
    assert all(f"--{name} " in printed for name in names)
