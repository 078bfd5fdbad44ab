from __future__ import annotations

from spa3d.config.overrides import Flag, scan


def scan_flags(*argv: str) -> list[Flag]:
    return scan(argv, switches={"dry-run"}, repeatable={"plugin"}).flags


def test_scan_both_forms_of_a_value() -> None:
    assert scan_flags("--seed", "3", "--noise.level=0.5") == [Flag("seed", "3"), Flag("noise.level", "0.5")]


def test_scan_value_with_hyphen_or_equals_sign() -> None:
    assert scan_flags("--x", "-1", "--y=--z", "--w=a=b", "--v", "a=b") == [
        Flag("x", "-1"),
        Flag("y", "--z"),
        Flag("w", "a=b"),
        Flag("v", "a=b"),
    ]


def test_scan_switch_takes_no_value() -> None:
    arguments = scan(["--dry-run", "list"], switches={"dry-run"})
    assert arguments.flags == [Flag("dry-run")]
    assert arguments.words == ["list"]
    assert scan(["--dry-run=no"], switches={"dry-run"}).errors == ["--dry-run=no: --dry-run takes no value"]


def test_scan_missing_value_keeps_the_next_flag() -> None:
    arguments = scan(["--output", "--seed", "3", "--config"], switches=())
    assert arguments.flags == [Flag("seed", "3")]
    assert [error.partition(":")[0] for error in arguments.errors] == ["--output", "--config"]


def test_scan_misspelled_switch_is_suggested() -> None:
    [error] = scan(["--dryrun"], switches={"dry-run", "resume"}).errors
    assert error == "--dryrun: its value is missing; did you mean --dry-run?"


def test_scan_rejects_repeated_flags_unless_repeatable() -> None:
    arguments = scan(
        ["--seed", "1", "--seed", "2", "--plugin", "a", "--plugin", "b"], switches=(), repeatable={"plugin"}
    )
    assert arguments.errors == ["--seed 2: --seed is given twice; keep one of them"]
    assert arguments.values("plugin") == ["a", "b"]
