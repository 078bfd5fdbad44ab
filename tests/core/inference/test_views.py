"""Views: clouds are checked once, errors name the record, caches have complete keys."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spa3d.contracts.dataset import Record
from spa3d.contracts.noise import Noise
from spa3d.errors import DataError, PluginError
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.inference.views import OtherView, View, ViewEncoder, Views, ViewTokens, built_in_views
from spa3d.registry.create import create
from spa3d.runtime.rng import Draws
from spa3d.runtime.row_store import RowStore

IDS = ["train-0", "train-1", "train-2"]


def test_too_few_points_are_not_hidden_by_resampling(toy: Any, toy_dataset: Any) -> None:
    _, processor, _ = toy()
    processor.points["count"] = 64
    clouds = PreparedClouds(
        toy_dataset, processor, RowStore(None, (64, 6)), min_points=33, requested_by="encoder averages"
    )
    with pytest.raises(DataError, match=r"record train-1: 32 points, but encoder averages needs at least 33"):
        clouds.get(["train-1"])


def test_prepared_clouds_checks_clouds_of_any_dataset(toy: Any, toy_dataset: Any, monkeypatch: Any) -> None:
    _, _, clouds = toy()
    monkeypatch.setattr(Record, "cloud", lambda self: np.full((32, 6), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match="record train-0: NaN or infinity in 32 of 32 points"):
        clouds.get(["train-0"])


def noised_tokens(toy: Any, folder: Path | None, *, noise: Any, code: str = "") -> Any:
    model, _, clouds = toy()
    store = None if folder is None else RowStore(folder, (4, 8))
    views = built_in_views(ViewEncoder(model, clouds, store), noise=noise, seed=3, noise_fingerprint=code)
    shown = views["noised"].tokens([(name, 0) for name in IDS])
    return shown.tokens, shown.level


def test_noised_view_names_the_record_that_a_noise_breaks(toy: Any, tmp_path: Path) -> None:
    class Rare(Noise):
        def apply(self, points: Any, draws: Draws) -> Any:
            bad = [float("nan") if "train-2" in key else 0.0 for key in draws.keys]
            return points + torch.tensor(bad)[:, None, None]

    for folder in (None, tmp_path):
        with pytest.raises(PluginError, match=r"Rare \(.*test_views.py\): expected finite .* for record train-2$"):
            noised_tokens(toy, folder, noise=Rare())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tokens: tokens[:1], r"shape \(3, 4, 8\), got \(1, 4, 8\)"),
        (lambda tokens: tokens[:, :3], r"got \(3, 3, 8\)"),
        (lambda tokens: (tokens, tokens), "expected a tensor, got tuple"),
        (lambda tokens: tokens / (torch.arange(3) != 1)[:, None, None], "finite numbers, .* for record train-1$"),
    ],
)
def test_encode_checks_the_tokens_of_an_encoder(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    model, _, clouds = toy()
    forward = model.encoder.forward
    monkeypatch.setattr(model.encoder, "forward", lambda points: change(forward(points)))
    for store in (None, RowStore(tmp_path, (4, 8))):
        with pytest.raises(PluginError, match=rf"Averages \(.*\): .*{message}"):
            ViewEncoder(model, clouds, store).encode(IDS, IDS)


def test_noised_view_measures_levels_lost_by_a_kill_again(toy: Any, tmp_path: Path) -> None:
    noise = create("noise", "mask", level=0.5, patches=4, patch_size=8)
    tokens, level = noised_tokens(toy, tmp_path, noise=noise)
    shutil.rmtree(tmp_path / "levels")
    again, measured = noised_tokens(toy, tmp_path, noise=noise)
    assert measured == level
    assert level is not None
    assert 0 < level < 1
    np.testing.assert_array_equal(again, tokens)


class Shift(Noise):
    """Noise that moves every point by a distance in its code, as during development."""

    far = 0.5

    def apply(self, points: Any, draws: Draws) -> Any:
        return points + self.far


def test_noised_view_of_edited_noise_has_new_keys(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = noised_tokens(toy, tmp_path, noise=Shift(), code="code as it was")
    monkeypatch.setattr(Shift, "far", 0.1)
    kept, _ = noised_tokens(toy, tmp_path, noise=Shift(), code="code as it was")
    after, _ = noised_tokens(toy, tmp_path, noise=Shift(), code="code as it is now")
    np.testing.assert_array_equal(kept, before)  # the code alone tells them apart
    plain, _ = noised_tokens(toy, None, noise=Shift())
    np.testing.assert_allclose(after, plain, atol=1e-6)
    assert not np.allclose(after, before, atol=1e-3)


def test_another_object_is_never_of_the_same_category(toy: Any, toy_dataset: Any) -> None:
    model, _, clouds = toy()
    records = toy_dataset.records("train")
    view = OtherView(ViewEncoder(model, clouds), records, seed=3)
    for record in records:
        other = view.key(record.id, 0)
        assert toy_dataset.record(other).category != record.category
        assert other == view.key(record.id, 0)


class Zeroed(View):
    """Tokens of zeros: a view that no other room knows."""

    name = "zeroed"

    def __init__(self, encoder: ViewEncoder) -> None:
        self.encoder = encoder

    def key(self, record_id: str, epoch: int) -> str:
        return "zeroed"

    def tokens(self, batch: Any) -> ViewTokens:
        names = [name for name, _ in batch]
        return ViewTokens(torch.zeros_like(self.encoder.encode(names, names)))


def test_views_can_contain_a_custom_view(toy: Any) -> None:
    model, _, clouds = toy()
    encoder = ViewEncoder(model, clouds)
    views = Views(encoder, [*built_in_views(encoder).values(), Zeroed(encoder)])
    assert set(views) == {"clean", "twin", "blind", "zeroed"}
    shown = views["zeroed"].tokens([(name, 0) for name in IDS]).tokens
    assert shown is not None
    assert shown.shape == (3, 4, 8)
    assert not shown.any()
    assert views["blind"].tokens([("train-0", 0)]) == ViewTokens(None)
