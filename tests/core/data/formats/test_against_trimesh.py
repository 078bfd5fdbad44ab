"""Ordinary meshes have the extent, the center and the colors that trimesh writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

import spa3d


@pytest.mark.parametrize("name", ["a.glb", "a.gltf", "a.obj", "a.off", "a.stl", "a.ply"])
def test_read_cloud_reads_what_trimesh_writes(tmp_path: Path, name: str) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=3)
    mesh.apply_scale([1, 2, 3])
    mesh.visual.vertex_colors = np.where(mesh.vertices[:, 2:] > 0, [255, 0, 0, 255], [0, 0, 255, 255])
    if name == "a.gltf":
        for file, content in trimesh.exchange.gltf.export_gltf(trimesh.Scene(mesh)).items():
            (tmp_path / file.replace("model", "a")).write_bytes(content)
    else:
        mesh.export(tmp_path / name)
    cloud = spa3d.read_cloud(tmp_path / name, count=20_000)
    np.testing.assert_allclose(np.ptp(cloud.points, axis=0), mesh.extents, rtol=0.02)
    np.testing.assert_allclose(cloud.points.mean(axis=0), mesh.center_mass, atol=0.05)
    if name not in ("a.stl", "a.off"):
        assert cloud.colors is not None
        above = cloud.points[:, 2] > 0.5
        np.testing.assert_allclose(cloud.colors[above].mean(axis=0), [1, 0, 0], atol=0.01)
