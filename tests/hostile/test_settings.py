"""Numbers, texts and YAML that no setting can take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
COUNTS = (
    *("threads", "seed", "base.seed", "train.steps", "train.batch_size", "train.accumulation", "train.lora.rank"),
    *("base.encoder.steps", "llm.vocab_size", "llm.hidden_size", "llm.layers", "llm.heads", "llm.max_length"),
    *("points.count", "evaluate.limit", "evaluate.bootstrap", "train.probe_size"),
)
FRACTIONS = ("train.learning_rate", "train.weight_decay", "train.epochs", "noise.level", "cache-limit-gb")
DEEP = "[" * 100_000


@pytest.mark.parametrize("value", ["9" * 30, "9" * 5000, "-1", "1.5", "true", "x", "[1]"])
@pytest.mark.parametrize("name", COUNTS)
def test_run_refuses_a_count(refuse_run: Callable[..., str], name: str, value: str) -> None:
    assert f"--{name}" in refuse_run(f"--{name}", value)


@pytest.mark.parametrize("value", ["1e308", "-1", "nan", ".inf", "9" * 5000, "{a: 1}", "2020-99-99"])
@pytest.mark.parametrize("name", FRACTIONS)
def test_run_refuses_a_fraction(refuse_run: Callable[..., str], name: str, value: str) -> None:
    assert f"--{name}" in refuse_run(f"--{name}", value)


@pytest.mark.parametrize(
    "flags",
    [
        ("--llm.template", "chat"),
        ("--llm.system", "<point_patch>"),
        ("--llm.system", "</s>"),
        ("--llm.system", "\udcff"),
        ("--llm.point_start", "\udcff"),
        ("--llm.point_start", ""),
        ("--llm.point_start", "<x>", "--llm.point_patch", "<x>"),
        ("--llm.max_length", "16"),
        ("--threads", "100000"),
        ("--llm.vocab_size", "1000000000"),
        ("--evaluate.bootstrap", "100000000"),
        ("--train.steps", "0", "--train.epochs", "1e300"),
        ("--encoder.strides", "[2020-99-99]"),
        ("--encoder.strides", DEEP),
        ("--dtype", "float99"),
        ("--ops", "nope"),
        ("--preset", "x" * 10_000),
        ("--encoder", "x" * 10_000),
        ("--encoder", "../../etc"),
        ("--benchmark", ",,,"),
        ("--x" * 5000, "1"),
        ("--train.learning_rate", "1" * 10_000 + "x"),
        ("--objective", "dpo"),
        ("--objective", "dpo", "--pairs.mode", "augmentation", "--pairs.path", "x"),
        ("w" * 10_000,),
        ("--seed", "1", "--seed", "2"),
        ("--blind", "--no-blind"),
    ],
    ids=lambda flags: "".join(flags)[:40].encode("ascii", "backslashreplace").decode(),
)
def test_run_refuses_flags(refuse_run: Callable[..., str], flags: tuple[str, ...]) -> None:
    refuse_run(*flags, messages=3)


@pytest.mark.parametrize(
    "argv",
    [
        ("preview", "dataset", "x.png", "--count", "9" * 5000),
        ("preview", "dataset", "x.png", "--count", "0"),
        ("preview", "dataset", "x" * 300 + ".png"),
        ("preview", "dataset", "a\0b.png"),
        ("preview", "noise", "x.png", "--level", "nan"),
        ("preview", "noise", "x.png", "--level", "9" * 5000),
        ("preview", "x" * 5000, "x.png"),
        ("compare", "--objectives", "sft", "--seeds", "9" * 5000),
        ("compare", "--objectives", "sft", "--cell", "9" * 5000 + "/1"),
        ("compare", "--objectives", "sft", "--cell", "2/1"),
        ("compare", "--objectives", "sft", "--learning-rates", "9" * 5000),
        ("compare", "--objectives", "sft", "--learning-rates", "nan"),
        ("compare", "--objectives", "sft", "--levels", "7"),
        ("compare", "x" * 5000),
        ("compare", "--objectives", "sft", "--budget", "x" * 5000),
        ("list", "x" * 5000),
        ("list", "encoder", "--x" * 3000),
        ("pairs", "x.jsonl"),
        ("pairs", "x" * 300, "--pairs.mode", "corruption"),
        ("pairs", "a\0b", "--pairs.mode", "corruption"),
        ("x" * 5000,),
        ("a\0b",),
    ],
    ids=lambda argv: " ".join(word[:12] for word in argv).encode("unicode_escape").decode(),
)
def test_other_verbs_refuse(refuse: Callable[..., str], argv: tuple[str, ...]) -> None:
    refuse(*argv, messages=3)


ALIASES = "\n".join(["a0: &a0 x"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)])
YAML = {
    "int": "seed: !!int abc",
    "empty int": "seed: !!int ''",
    "float": "seed: !!float abc",
    "bool": "blind: !!bool maybe",
    "timestamp": "seed: !!timestamp abc",
    "date": "seed: 2020-99-99",
    "long": f"seed: {'9' * 5000}",
    "python": "seed: !!python/object/apply:os.system [id]",
    "binary": "seed: !!binary =",
    "levels": "a: " + "[" * 1500 + "]" * 1500,
    "brackets": DEEP,
    "braces": "{a: " * 100_000,
    "indented": "".join(f"{' ' * n}a:\n" for n in range(1200)),
    "aliases": ALIASES,
    "itself": "seed: &a [*a]",
    "anchor": "seed: *nope",
    "number key": "1: 2",
    "list key": "[1]: 2",
    "twice": "seed: 1\nseed: 2",
    "list": "- seed",
    "text": "seed",
    "tab": "\tseed: 1",
    "open": "seed: 'abc",
    "nul": "seed: \0",
    "escape": 'seed: "\x1b[2J"',
    "bool seed": "seed: true",
    "steps": "train: {steps: yes}",
    "block": "seed: {a: 1}",
    "no block": "train: 3",
    "unknown": "x" * 5000 + ": 1",
    "value": f"encoder: {'x' * 5000}",
    "nul path": '{objective: dpo, pairs: {path: "a\\0b"}}',
    "empty name": "encoder: ''",
    "number name": "encoder: 3",
    "merge": "<<: 3",
}


@pytest.mark.parametrize("content", YAML.values(), ids=YAML)
def test_run_refuses_a_config_file(refuse_run: Callable[..., str], content: str) -> None:
    Path("run.yaml").write_text(content)
    refuse_run("--config", "run.yaml")


@pytest.mark.parametrize("content", [value for value in YAML.values() if "seed: 9" not in value], ids=lambda x: x[:9])
def test_run_refuses_a_registry(refuse_run: Callable[..., str], content: str) -> None:
    Path("more.yaml").write_text(content)
    assert "more.yaml" in refuse_run("--registry", "more.yaml", messages=3)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x80\x81", b"\x00" * 100, "seed: é".encode("latin-1")])
def test_run_refuses_a_config_file_of_another_encoding(refuse_run: Callable[..., str], content: bytes) -> None:
    Path("run.yaml").write_bytes(content)
    refuse_run("--config", "run.yaml")


@pytest.mark.parametrize("content", YAML.values(), ids=YAML)
def test_run_refuses_an_output_with_a_broken_config(refuse_run: Callable[..., str], content: str) -> None:
    Path("out").mkdir()
    Path("out/config.yaml").write_text(content)
    Path("out/model.bin").touch()
    assert "--output" in refuse_run("--resume")
    assert {path.name for path in Path("out").iterdir()} == {"config.yaml", "model.bin"}


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "0x1", "9" * 5000])
@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "LOCAL_RANK"])
def test_run_refuses_the_variable_of_a_launcher(
    refuse_run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert name in refuse_run()


@pytest.mark.parametrize("name", ["SPA3D_BASES", "SPA3D_REGISTRY"])
@pytest.mark.parametrize("value", ["x" * 300, "/proc/nope/x", "/dev/null/x"])
def test_run_refuses_a_variable(
    refuse_run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    refuse_run()
