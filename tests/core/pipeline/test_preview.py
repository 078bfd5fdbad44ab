"""Sheets drawn from configurations; the command line is in tests/core/cli/test_preview.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spa3d.config.resolve import resolve
from spa3d.errors import OutputError, PluginError
from spa3d.pipeline.preview import PreviewRequest, draw_dataset, draw_noise, shorten_ids
from spa3d.registry.registry import Registry, load_registry
from spa3d_plugins.noise.mask import Mask

SMALL = {"dataset": "shapes-smoke"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.delenv("SPA3D_REGISTRY", raising=False)
    return load_registry()


def ignore(line: str) -> None:
    raise AssertionError(f"nothing is left out, but {line}")


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        (["shapes-0-test-000001", "shapes-0-test-000012"], ["000001", "000012"]),
        (["chair-1", "chart-2"], ["chair-1", "chart-2"]),
        (["shapes-0-test-000001"], ["shapes-0-test-0…"]),
        (["a-", "a-b"], ["a-", "b"]),
        ([], []),
    ],
)
def test_shorten_ids_drops_shared_words_and_cuts_long_ids(ids: list[str], short: list[str]) -> None:
    assert shorten_ids(ids) == short


def test_draw_dataset_says_what_is_on_the_sheet(registry: Registry, tmp_path: Path) -> None:
    request = PreviewRequest(tmp_path / "sheet.png", "counterfactual", 7)
    drawn = draw_dataset(resolve(SMALL, registry=registry), registry, request, skipped=ignore, noted=ignore)
    assert drawn == "7 of the 16 records of shapes-smoke, split counterfactual"
    with Image.open(request.path) as sheet:
        assert sheet.size[0] == 6 * 220


def test_draw_noise_of_level_0_shows_the_clean_cloud_again(registry: Registry, tmp_path: Path) -> None:
    configs = [resolve(SMALL, {"noise": name}, registry=registry) for name in ("mask", "gaussian")]
    request = PreviewRequest(tmp_path / "noise.png", "test", 1, (0.0, 0.5))
    drawn = draw_noise(configs, registry, request, skipped=ignore, noted=ignore)
    assert drawn == "mask, gaussian at 0, 0.5 on 1 of the 24 records of shapes-smoke, split test"
    with Image.open(request.path) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    first = pixels[60:260]  # the clouds of mask, without titles and labels
    assert np.array_equal(first[:, 200:400], first[:, 400:600])
    assert not np.array_equal(first[:, 200:400], first[:, 600:800])


@pytest.mark.parametrize(
    ("apply", "message"),
    [
        (lambda self, points, draws: points[:, :0], r"expected an output of shape \(1, 1024, 6\), got \(1, 0, 6\)"),
        (lambda self, points, draws: points * float("nan"), "expected finite numbers, got NaN or infinity, for record"),
        (lambda self, points, draws: 1 / 0, "it fails on points of shape .*ZeroDivisionError: division by zero"),
    ],
)
def test_draw_noise_names_a_noise_that_breaks(
    apply: Callable[..., Any], message: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mask, "apply", apply)
    request = PreviewRequest(tmp_path / "noise.png", "test", 1, (0.5,))
    with pytest.raises(PluginError, match=rf"--noise mask at level 0.5: .*{message}"):
        draw_noise(
            [resolve(SMALL, {"noise": "mask"}, registry=registry)], registry, request, skipped=ignore, noted=ignore
        )
    assert not request.path.exists()


def test_draw_dataset_names_a_file_that_cannot_be_written(registry: Registry, tmp_path: Path) -> None:
    request = PreviewRequest(tmp_path, "test", 1)
    with pytest.raises(OutputError, match=r"cannot be written \(Is a directory\); choose another file"):
        draw_dataset(resolve(SMALL, registry=registry), registry, request, skipped=ignore, noted=ignore)
