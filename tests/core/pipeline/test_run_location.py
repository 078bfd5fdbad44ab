"""Where a run goes: a given folder, a new one, or the latest of the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from spa3d.config.resolve import resolve
from spa3d.errors import ConfigError
from spa3d.pipeline.run_location import run_folder


@pytest.fixture(autouse=True)
def _toys(toy_registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toys, and one process."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)


def folder_of(settings: dict[str, Any], *, output: str = "", resume: bool = False) -> Path:
    return run_folder(resolve(settings), output=Path(output) if output else None, resume=resume)


def save_run(name: str, **settings: Any) -> Path:
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(resolve(settings).model_dump(mode="json")))
    return folder


def test_run_folder_is_given_or_made_of_time_and_names() -> None:
    assert folder_of({}, output="here") == Path("here")
    made = folder_of({"encoder": "plain-wide", "seed": 3})
    assert made.parent == Path("runs")
    assert made.name.endswith("-plain-wide-quiet-fit-s3")


def test_run_folder_resumes_the_latest_run_of_the_same_configuration() -> None:
    save_run("20260101-000000-plain-quiet-fit-s0")
    latest = save_run("20260102-000000-plain-quiet-fit-s0")
    save_run("20260103-000000-plain-quiet-fit-s0", train={"steps": 9})
    (Path("runs") / "20260104-000000-plain-quiet-fit-s0").mkdir()
    assert folder_of({}, resume=True) == latest
    assert folder_of({}, output="here", resume=True) == Path("here")
    with pytest.raises(ConfigError, match=r"--resume: no run of this .* among runs/\*-plain-quiet-fit-s1"):
        folder_of({"seed": 1}, resume=True)


def test_run_folder_of_several_processes_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="--output: say where the run goes"):
        folder_of({})
    assert folder_of({}, output="here") == Path("here")
