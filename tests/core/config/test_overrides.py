from __future__ import annotations

from spa3d.config.overrides import Flag, scan


def found(*argv: str) -> list[Flag]:
    return scan(argv, switches={"dry-run"}, repeatable={"plugin"}).flags


def test_both_ways_to_give_a_value() -> None:
    assert found("--seed", "3", "--noise.level=0.5") == [Flag("seed", "3"), Flag("noise.level", "0.5")]


def test_a_value_may_begin_with_a_hyphen_or_hold_an_equals_sign() -> None:
    assert found("--x", "-1", "--y=--z", "--w=a=b", "--v", "a=b") == [
        Flag("x", "-1"),
        Flag("y", "--z"),
        Flag("w", "a=b"),
        Flag("v", "a=b"),
    ]


def test_a_switch_takes_nothing() -> None:
    arguments = scan(["--dry-run", "list"], switches={"dry-run"})
    assert arguments.flags == [Flag("dry-run")]
    assert arguments.words == ["list"]
    assert scan(["--dry-run=no"], switches={"dry-run"}).errors == ["--dry-run=no: --dry-run takes no value"]


def test_a_missing_value_is_told_and_does_not_swallow_the_next_flag() -> None:
    arguments = scan(["--output", "--seed", "3", "--config"], switches=())
    assert arguments.flags == [Flag("seed", "3")]
    assert [error.partition(":")[0] for error in arguments.errors] == ["--output", "--config"]


def test_a_misspelled_switch_is_not_asked_for_a_value() -> None:
    [error] = scan(["--dryrun"], switches={"dry-run", "resume"}).errors
    assert error == "--dryrun: its value is missing; did you mean --dry-run?"


def test_twice_is_told_unless_it_may_be_repeated() -> None:
    arguments = scan(
        ["--seed", "1", "--seed", "2", "--plugin", "a", "--plugin", "b"], switches=(), repeatable={"plugin"}
    )
    assert arguments.errors == ["--seed 2: --seed is given twice; keep one of them"]
    assert arguments.values("plugin") == ["a", "b"]
