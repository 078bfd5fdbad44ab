"""Atomic writing of the three files of a report."""

import json
from pathlib import Path

import pytest

from spa3d.report import write_report


def test_write_report_writes_three_files(tmp_path, document, example, metrics):
    lines = "".join(json.dumps(row) + "\n" for row in metrics) + '{"stage": "post-tr'  # a killed run's last line
    (tmp_path / "metrics.jsonl").write_text(lines, encoding="utf-8")
    write_report(tmp_path, document(0.9, 0.5), [example()])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "metrics.jsonl", "report.html", "report.json", "report.md",
    ]  # fmt: skip
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["schema"] == 1
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("**Post-training with spa hurt")
    assert "Log p of the right answer" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_write_report_is_deterministic(tmp_path, document, example):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        write_report(folder, document(), [example()])
    for name in ("report.json", "report.md", "report.html"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_write_report_failed_write_leaves_the_old_report(tmp_path, document, monkeypatch):
    write_report(tmp_path, document(0.9, 0.5), [])
    old = (tmp_path / "report.json").read_bytes()

    def full_disk(path, text, **_):
        path.write_bytes(text.encode()[:100])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_report(tmp_path, document(0.5, 0.9), [])
    assert (tmp_path / "report.json").read_bytes() == old


def test_write_report_writes_json_last(tmp_path, document, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spa3d.report.render_page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, document(), [])
    assert not (tmp_path / "report.json").exists()


def test_write_report_half_a_surrogate_pair(tmp_path, document, example):
    write_report(tmp_path, document(), [example("a \ud800 b")])
    assert r"a \\ud800 b" in (tmp_path / "report.md").read_text(encoding="utf-8")
