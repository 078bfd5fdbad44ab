"""Option letters of free replies as VLMEvalKit and lmms-eval read them, bugs included.

A published number depends on the rule that read the letters, so each rule has its name. The rules are stated anew from
the behavior of the two projects; None means that a rule reads nothing. Where lmms-eval then draws a random letter, the
result here is None, too.

Sources: https://github.com/open-compass/VLMEvalKit, https://github.com/EvolvingLMMs-Lab/lmms-eval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

Options = Mapping[str, str]
"""Texts of the options by letter."""
REFUSED = "Z"
"""What VLMEvalKit records for a refusal."""
FAILED = "Failed to obtain answer via API"
REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
STRIPPED = ",.!?;:'"
"""Marks that lmms-eval strips at both ends, one after the other."""
FIVE = "ABCDE"
ANNOUNCEMENTS = (
    *(f"{the}{kind}answer is" for the in ("the ", "") for kind in ("", "correct ", "best ")),
    *(f"{the}{kind}option is" for the in ("the ", "") for kind in ("correct ", "best ")),
    *(f"{the}{kind}choice is" for the in ("the ", "") for kind in ("", "correct ")),
    *("i choose", "i select", "i pick", "my answer is", "my choice is"),
    *("答案是", "答案为", "选", "答えは", "정답은", "답은", "답:", "옵션"),
)
"""Lead-ins of an answer that lmms-eval knows, in lower case."""


def vlm_option(reply: str, options: Options) -> str | None:
    """Read a letter as VLMEvalKit's ``can_infer_option`` does; a refusal gives Z."""
    if FAILED in reply:
        return None
    if any(refusal in reply for refusal in REFUSALS):
        return REFUSED
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", reply).split()
    letters = [letter for letter in options if letter in words]
    if len(letters) == 1 and words.index(letters[0]) > len(words) - 5:
        return letters[0]
    if not letters and REFUSED in words:
        return REFUSED
    match = re.search(r"answer\s+is\s+\**([a-d])", reply, re.IGNORECASE)
    return match[1].upper() if match and match[1].upper() in options else None


def vlm_text(reply: str, options: Options) -> str | None:
    """Read the one option whose text is in the reply, as VLMEvalKit's ``can_infer_text`` does."""
    text = reply.lower()
    if len(text) > 2 * sum(len(option) for option in options.values()):
        return None
    return _single(letter for letter, option in options.items() if option.lower() in text)


def vlm_can_infer(reply: str, options: Options) -> str | None:
    """Read a letter, or else the text of an option, as VLMEvalKit's ``can_infer`` does."""
    return vlm_option(reply, options) or vlm_text(reply, options)


def vlm_characters_regex(reply: str, options: Options) -> str | None:
    """Read the first capital from A to E, as ``extract_characters_regex`` of both projects does."""
    del options
    text = reply.strip()
    for lead_in in (
        *("The best answer is", "The correct answer is", "The answer is", "The answer"),
        *("The best option is", "The correct option is", "Best answer:", "Best option:"),
    ):
        text = text.replace(lead_in, "")
    match = re.search(r"[A-E]", text)
    if match:
        return match[0]
    if len(text.split()) > 10:
        return None
    return next((letter for letter in FIVE if text.lower() in f"({letter})".lower()), None)


def lmms_mcq_extract(reply: str, options: Options) -> str | None:
    """Read a letter by the priorities of lmms-eval's ``extract_mcq_answer``."""
    text = f" {_strip_marks(reply.strip(), STRIPPED + chr(34))} "
    candidates = [candidate for letter in options for candidate in (*_frames(text, letter), *_phrases(text, letter))]
    if not candidates:
        candidates = [(0, text.rfind(letter), letter) for letter in options if letter in text]
    return max(candidates, key=lambda candidate: candidate[:2], default=(0, 0, None))[2]


def lmms_mmmu(reply: str, options: Options) -> str | None:
    """Read a letter as lmms-eval's MMMU does (``parse_multi_choice_response``)."""
    text = f" {_strip_marks(reply, STRIPPED)} "
    stages: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
        ("({})".format, "({})".format),
        ("{} ".format, " {} ".format),
        ("{}.".format, " {} ".format),
    )
    for pattern, framed in stages:
        matches = [letter for letter in options if pattern(letter) in text]
        if matches:
            return matches[0] if len(matches) == 1 else max(matches, key=lambda letter: text.rfind(framed(letter)))
    lower = text.lower()
    named = [letter for letter, option in options.items() if option.lower() in lower] if len(text.split()) > 5 else []
    return max(named, key=lambda letter: lower.rfind(options[letter].lower()), default=None)


def lmms_3dsrbench(reply: str, options: Options) -> str | None:
    """Read a letter from A to D by the patterns of lmms-eval's 3DSRBench."""
    del options
    patterns = (
        *(r"^([A-D])[.\s)]", r"^([A-D])$", r"[Aa]nswer[:\s]+([A-D])", r"[Tt]he answer is[:\s]+([A-D])"),
        *(r"[Mm]y answer is[:\s]+([A-D])", r"\(([A-D])\)", r"([A-D])\.", r"\b([A-D])\b"),
    )
    matches = (re.search(pattern, reply.strip()) for pattern in patterns)
    return next((match[1] for match in matches if match), None)


def lmms_vsibench_first_word(reply: str, options: Options) -> str | None:
    """Read the text before the first space; it equals a letter, in any case, or is no letter."""
    del options
    return reply.split(" ")[0].rstrip(".").strip()


def lmms_mmbench(reply: str, options: Options) -> str | None:
    """Read a letter from A to E, or else the text of an option, as lmms-eval's MMBench does."""
    words = reply.split()
    letters = [letter for letter in FIVE if letter in words]
    if len(letters) == 1 and not ("A" in words and len(words) > 3):
        return letters[0]
    for before, behind in (
        *(("", "."), ("", ","), ("", ":"), ("", ")"), ("", ")."), ("(", ")"), ("(", ").")),
        *((":", ""), (":", ","), (":", "."), (":", ")"), (":", ").")),
    ):
        letter = _single(letter for letter in FIVE if f"{before}{letter}{behind}" in words)
        if letter:
            return letter
    text = reply.lower()
    return _single(letter for letter, option in options.items() if letter in "ABCD" and option.lower() in text)


def _single(letters: Iterable[str]) -> str | None:
    """The one letter; None without any, or with several."""
    matches = list(letters)
    return matches[0] if len(matches) == 1 else None


def _strip_marks(text: str, marks: str) -> str:
    """Strip marks at both ends, one kind after the other."""
    for mark in marks:
        text = text.strip(mark)
    return text


def _frames(text: str, letter: str) -> list[tuple[int, int, str]]:
    """Priorities and positions of a letter at the ends of a padded text, and beside marks."""
    matches = []
    if re.match(rf" {letter}(?![A-Za-z])", text):
        matches.append((10, 0, letter))
    if re.search(rf"(?<![A-Za-z]){letter} $", text):
        matches.append((9, len(text), letter))
    marked = (6, f"({letter})"), (5, f"{letter}."), (4, f"{letter}:"), (3, f"{letter})"), (2, f"{letter} ")
    for priority, pattern in marked:
        if pattern in text:
            matches.append((priority, text.rfind(pattern), letter))
    return matches


def _phrases(text: str, letter: str) -> list[tuple[int, int, str]]:
    """Positions of a letter behind each phrase that announces an answer."""
    lower, matches = text.lower(), []
    for phrase in ANNOUNCEMENTS:
        start = lower.find(phrase)
        position = text.find(letter, start + len(phrase)) if start >= 0 else -1
        if position >= 0:
            matches.append((7, position, letter))
    return matches
