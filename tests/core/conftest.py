"""A registry of toys, one small component per kind, and a scripted chat endpoint."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spa3d
import spa3d_plugins
from spa3d.data.formats.contract import Cloud

TOY_PLUGIN = """
from spa3d import hookimpl

@hookimpl
def spa3d_components(manifest):
    return manifest.rows()
"""

TOY_PARTS = '''
from typing import Literal

from pydantic import Field, model_validator

from spa3d import Benchmark, ComponentConfig, Dataset, Encoder, Noise, NoiseConfig, Objective, Ops, Projector


class Stem(ComponentConfig):
    depth: int = Field(1, ge=1)


class EncoderConfig(ComponentConfig):
    width: int = Field(8, ge=1, le=64)
    """Channels."""
    inputs: tuple[Literal["xyz", "rgb"], ...] = ("xyz",)
    scale: float | None = None
    norm: bool = True
    label: str = ""
    stem: Stem = Stem()

    @model_validator(mode="after")
    def _even(self):
        if self.width % 2 and self.norm:
            raise ValueError("norm needs an even width")
        return self


class ToyEncoder(Encoder):
    Config = EncoderConfig
    inputs = ("xyz",)
    min_points = 1
    dim = 8

    def num_tokens(self, num_points):
        return 1

    def forward(self, points):
        return points.mean(dim=1, keepdim=True)

    def pool(self, points):
        return points.mean(dim=1)


class ToyProjector(Projector):
    def num_tokens(self, num_tokens):
        return num_tokens

    def forward(self, tokens):
        return tokens


class ToyNoise(Noise):
    def apply(self, points, draws):
        return points


class ObjectiveConfig(ComponentConfig):
    beta: float = Field(0.1, gt=0)


class ToyObjective(Objective):
    Config = ObjectiveConfig
    needs = ()

    def terms(self, scores):
        return ()


class DatasetConfig(ComponentConfig):
    root: str
    """Folder of the files."""
    size: int = Field(4, ge=1)


class ToyDataset(Dataset):
    Config = DatasetConfig
    splits = ("train",)

    def records(self, split):
        return ()

    def record(self, record_id):
        raise KeyError(record_id)

    def fingerprint(self):
        return ""


class BenchmarkConfig(ComponentConfig):
    limit: int = Field(0, ge=0)


class ToyBenchmark(Benchmark):
    Config = BenchmarkConfig

    def questions(self, dataset, split, seed):
        return ()

    def score(self, question, prediction):
        raise NotImplementedError

    def chance(self, question):
        return 0.0


class ToyOps(Ops):
    def fps(self, xyz, count, start): ...

    def knn(self, query, xyz, k): ...

    def ball_query(self, query, xyz, radius, nsample, *, closed): ...


class Unfinished(Noise):
    pass


NOT_A_CLASS = 3
'''

TOY_REGISTRY = """\
version: 1
plugins: {load: [toy_plugin]}
components:
  encoder:
    plain: {target: "toy_parts:ToyEncoder", summary: A plain encoder, license: MIT, source: a paper}
    other: {target: "toy_parts:ToyEncoder", summary: The same again}
  projector:
    straight: {target: "toy_parts:ToyProjector", summary: Nothing}
  noise:
    quiet: {target: "toy_parts:ToyNoise", summary: None at all}
    compiled: {target: "toy_parts:ToyNoise", summary: Needs a kernel, requires: [kernel_nobody_has]}
    unfinished: {target: "toy_parts:Unfinished", summary: Lacks a method}
    number: {target: "toy_parts:NOT_A_CLASS", summary: No class}
    lost: {target: "toy_parts:Lost", summary: Not there}
  objective:
    fit: {target: "toy_parts:ToyObjective", summary: Fits}
    prefer: {target: "toy_parts:ToyObjective", summary: Prefers}
  dataset:
    files: {target: "toy_parts:ToyDataset", summary: Files}
  benchmark:
    pick: {target: "toy_parts:ToyBenchmark", summary: Picks}
    tell: {target: "toy_parts:ToyBenchmark", summary: Tells}
  ops:
    loops: {target: "toy_parts:ToyOps", summary: Loops}
defaults:
  preset: short
  encoder: plain
  projector: straight
  noise: quiet
  objective: fit
  dataset: toys
  benchmark: [pick, tell]
  llm: small
presets:
  encoder:
    plain-wide: {component: plain, summary: Wider, config: {width: 32}, points: {missing_color: 0.4}}
    plain-tiny: {component: plain, config: {width: 4, inputs: [xyz, rgb]},
                 weights: {file: tiny.safetensors, layout: toy, url: "https://example.org", license: CC0}}
  objective:
    fit-hard: {component: fit, config: {beta: 2.0}}
  dataset:
    toys: {component: files, config: {root: toys}}
  llm:
    small: {summary: Small, config: {hidden_size: 16, layers: 1, heads: 1}}
  run:
    short:
      summary: Short
      default_presets: {encoder: {plain: plain-tiny}}
      settings: {points: {count: 64}, base: {encoder: {epochs: 2}}, train: {steps: 3, learning_rate: 0.1}}
      objectives: {fit: {learning_rate: 0.2}, fit-hard: {learning_rate: 0.3}}
    long:
      settings: {train: {epochs: 9}}
"""


@pytest.fixture(scope="session")
def toys_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the toy modules live; on the import path for the session."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toy_plugin.py").write_text(TOY_PLUGIN)
    (folder / "toy_parts.py").write_text(TOY_PARTS)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def toy_registry(toys_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Registry of toys as the only registry.yaml, without other installed plugins."""
    path = tmp_path / "registry.yaml"
    path.write_text(TOY_REGISTRY)
    monkeypatch.setenv("SPA3D_REGISTRY", str(path))
    monkeypatch.setenv("SPA3D_PLUGINS", "")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small 3D LLM with random weights, as a run saves it: ``run/model/``; returns ``run``."""
    import torch

    from spa3d.config.settings import LLMSettings
    from spa3d.model.configuration import Spa3dConfig
    from spa3d.model.llm import make_llm
    from spa3d.model.modeling import Spa3dModel
    from spa3d.model.processing import Spa3dProcessor
    from spa3d.model.saving import save_model
    from spa3d.model.special_tokens import point_tokens

    torch.manual_seed(3)
    settings = LLMSettings(hidden_size=16, layers=2, heads=2, intermediate_size=32, vocab_size=320, max_length=128)
    texts = ["What is this? It is a red chair with four legs.", "Which color does it have? A blue table."]
    llm, tokenizer, ids = make_llm(settings, lambda: iter(texts))
    part = spa3d.create("encoder", "pointnext-tiny")
    origin = {"distribution": "spa3d", "version": spa3d.__version__}
    config = Spa3dConfig(
        text_config=llm.config,
        encoder={"name": "pointnext", "config": part.config.model_dump(mode="json"), **origin},
        projector={"name": "linear", "config": {}, **origin},
        num_points=128,
        point_ids=ids,
    )
    model = Spa3dModel(config, part, None, llm).eval()
    with torch.no_grad():  # sharper than fresh weights are, so that clouds make a difference
        for parameter in model.language_model.parameters():
            parameter.mul_(4)
        model.projector.layer.weight.mul_(50)
    processor = Spa3dProcessor(
        tokenizer,
        num_point_tokens=model.num_point_tokens(),
        points={"count": 128, "method": "random"},
        point_tokens=point_tokens(settings),
        max_length=128,
    )
    run = tmp_path_factory.mktemp("run")
    save_model(model, processor, run / "model")
    return run


@pytest.fixture(scope="session")
def cloud_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of four clouds of 150 points, ``0.npy`` to ``3.npy``; the last one without color."""
    folder = tmp_path_factory.mktemp("clouds")
    stream = np.random.Generator(np.random.Philox(key=7))
    for number in range(4):
        cloud = stream.random((150, 6), dtype=np.float32) * np.array([number + 1, 1, 2, 1, 1, 1], np.float32)
        np.save(folder / f"{number}.npy", cloud if number < 3 else cloud[:, :3])
    return folder


@pytest.fixture(scope="session")
def make_table() -> Callable[..., Cloud]:
    """Make a good cloud of `count` points: a table, y up, with a colored top."""

    def make(count: int = 6000, seed: int = 0) -> Cloud:
        """A table of 1.2 by 0.75 by 0.8 meters on four legs, y up, with a colored top."""
        draws = np.random.default_rng(seed)
        top, legs = count * 6 // 10, count - count * 6 // 10
        slab = draws.random((top, 3)) * (1.2, 0.04, 0.8) + (-0.6, 0.71, -0.4)
        angle, which = draws.random(legs) * 2 * np.pi, draws.integers(4, size=legs)
        corner = np.array([(-0.5, -0.3), (0.5, -0.3), (-0.5, 0.3), (0.5, 0.3)])[which]
        leg = np.stack(
            [corner[:, 0] + 0.03 * np.cos(angle), draws.random(legs) * 0.71, corner[:, 1] + 0.03 * np.sin(angle)]
        )
        colors = np.concatenate([draws.random((top, 3)), np.full((legs, 3), 0.3)])
        order = draws.permutation(count)
        return Cloud(
            np.concatenate([slab, leg.T])[order], colors[order].astype(np.float32), source="table.npy",
            precision=np.dtype(np.float32),
        )  # fmt: skip

    return make


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """Environment of a subprocess with this spa3d, its registry and no installed plugin."""
    kept = {key: value for key, value in os.environ.items() if key not in ("SPA3D_REGISTRY", "COLUMNS", "RANK")}
    homes = [str(Path(package.__path__[0]).parent) for package in (spa3d, spa3d_plugins)]
    return {**kept, "SPA3D_PLUGINS": "", "PYTHONPATH": os.pathsep.join(homes)}


Step = tuple[int, dict[str, str], str] | threading.Event
"""Status, headers and body of one response, or an event before which nothing is said."""


class ChatServer:
    """Server that replies as `steps` says, by the number in the prompt and the attempt.

    Attributes:
        requested: how often, by number.
        heard: path, headers and body of every request.

    """

    def __init__(self, steps: Callable[[int, int], Step]) -> None:
        self.steps, self.lock = steps, threading.Lock()
        self.requested: dict[int, int] = {}
        self.heard: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @staticmethod
    def chat(text: object) -> Step:
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(body)

    @staticmethod
    def fails(status: int, code: str = "", **headers: str) -> Step:
        body = json.dumps({"error": {"message": f"said {status}", "code": code}})
        return status, {"Content-Type": "application/json", **headers}, body

    def next(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Step:
        number = int(re.findall(r"number (\d+)\?", body["messages"][0]["content"])[0])
        with self.lock:
            self.heard.append((path, headers, body))
            time = self.requested[number] = self.requested.get(number, 0) + 1
        return self.steps(number, time)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """The URL, as long as it is served."""
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                step = script.next(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                if isinstance(step, threading.Event):
                    step.wait(30)
                    return
                status, headers, text = step
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture
def chat_server(monkeypatch: pytest.MonkeyPatch) -> type[ChatServer]:
    """Makes endpoints on this machine; their key is "the-key"."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "the-key")
    return ChatServer
