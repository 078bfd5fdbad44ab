"""Sheets of cloud files; the command line is in tests/core/cli/test_preview.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spa3d.pipeline.preview_clouds import CloudsRequest, draw_clouds, find_clouds


def test_find_clouds_looks_below_folders_in_order(tmp_path: Path) -> None:
    for name in ("b.ply.npy", "a/z.OBJ", "a/y.npy", "a/.x.npy", ".git/w.npy", "a/readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "captions.csv").write_text("file,caption\na/z.OBJ,A table.\n")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    own = tmp_path / "a" / "readme.md"
    assert [name for _, name in find_clouds([tmp_path, own, tmp_path])] == [
        "b.ply.npy",
        "a/y.npy",
        "a/z.OBJ",
        "readme.md",
    ]


def test_draw_clouds_joins_like_notes_and_thins_out(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.obj").write_text(f"v 0 0 0\nv {i + 1} 0 0\nv 0 1 0\nf 1 2 3\n")
    np.save(tmp_path / "large.npy", np.random.default_rng(0).random((5000, 3)))
    notes: list[str] = []
    request = CloudsRequest(tmp_path / "sheet.png", (tmp_path,), count=9, points=20)
    assert draw_clouds(request, skipped=notes.append, noted=notes.append) == "4 of 4 files"
    assert notes == ["0.obj: a mesh: 20 points drawn from 1 triangles (and the like: 2 more)"]
