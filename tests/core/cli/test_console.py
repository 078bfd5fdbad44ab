from __future__ import annotations

import io

import pytest
from rich.console import Console

from spa3d.cli import console
from spa3d.cli.console import Bars, Lines, escape_text, make_reporter, print_sentence, show_warning
from spa3d.errors import Note
from spa3d.ops.selection import SlowerBackend
from spa3d.runtime.progress import Reporter, SilentReporter

HOSTILE = "[/red]<script>|"


def log(terminal: bool = False) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=100, highlight=False), stream


def test_escape_text_escapes_markup_and_control_characters() -> None:
    assert escape_text(HOSTILE).plain == HOSTILE
    assert escape_text("a\x1b[2Jb\r\u202ec\nd").plain == "a\\x1b[2Jb\\r\\u202ec\nd"


def test_print_sentence_breaks_lines_between_words_of_a_terminal_only() -> None:
    sentence = "words of eight letters " * 9
    for terminal, lines in ((False, 1), (True, 3)):
        target, stream = log(terminal)
        print_sentence(target, escape_text(sentence))
        printed = stream.getvalue().splitlines()
        assert len(printed) == lines
        assert " ".join(line.strip() for line in printed) == sentence.strip()


@pytest.mark.parametrize("terminal", [False, True])
def test_reporters_print_text_unchanged(terminal: bool) -> None:
    target, stream = log(terminal)
    reporter: Reporter = Bars(target) if terminal else Lines(target)
    reporter.stage(f"stage {HOSTILE}", f"detail {HOSTILE}")
    with reporter.track(4, f"work {HOSTILE}") as advance, reporter.track(2, "inner") as inner:
        advance(3)
        inner(2)
        reporter.say(f"message {HOSTILE}")
    reporter.warn(f"warned {HOSTILE}")
    for word in ("stage", "detail", "message", "warned"):
        assert f"{word} {HOSTILE}" in stream.getvalue()


def test_lines_print_one_line_per_finished_task(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 70.0, 70.0, 80.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    target, stream = log()
    with Lines(target).track(9, "questions") as advance:
        advance(4)
        advance(5)
    assert stream.getvalue().splitlines() == ["questions: 9 of 9 in 70 s", "questions: 9 of 9 in 80.0 s"]


def test_lines_failed_task_is_not_reported_as_done() -> None:
    target, stream = log()
    with pytest.raises(ValueError, match="bad"), Lines(target).track(9, "questions"):
        raise ValueError("bad")
    assert stream.getvalue() == ""


def test_bars_disappear_and_can_be_shown_again() -> None:
    target, _ = log(terminal=True)
    bars = Bars(target)
    for _ in range(2):
        with bars.track(3, "work") as advance:
            advance(3)
        assert not bars._progress.tasks
        assert not bars._progress.live.is_started


def test_make_reporter_only_the_first_process_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_reporter(), Lines)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert isinstance(make_reporter(), SilentReporter)


def test_silent_has_the_methods_of_a_reporter() -> None:
    silent: Reporter = SilentReporter()
    silent.stage("a")
    silent.say("b")
    silent.warn("c")
    with silent.track(3, "d") as advance:
        advance(2)


def test_show_warning_notes_ours_and_leaves_others(capsys: pytest.CaptureFixture[str]) -> None:
    show_warning(SlowerBackend("[b]slow[/b]"), SlowerBackend, "file.py", 3)
    show_warning(Note("asking the hub"), Note, "file.py", 3)
    show_warning(UserWarning("their\x1b[2J\u202es"), UserWarning, "file.py", 3)
    shown = "note: [b]slow[/b]\nnote: asking the hub\nfile.py:3: UserWarning: their\\x1b[2J\\u202es\n"
    assert capsys.readouterr().err == shown


def test_show_warning_notes_only_in_the_first_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    show_warning(SlowerBackend("slow"), SlowerBackend, "file.py", 3)
    assert not capsys.readouterr().err
