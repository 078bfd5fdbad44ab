r"""Letter of the option that a free reply chooses, under a named convention.

The convention ``spa3d`` is the default. It reads, in this order:

1. the last letter that the reply announces as its answer: "the answer is B", "Answer: (B)", "I choose B",
   ``\boxed{B}``, ``<answer>B</answer>``;
2. the only letter that stands alone in the reply: "B", "(B) blue", "It must be B, I think"; at the start also in lower
   case;
3. the only option whose words are in the reply; of options that contain each other the longest.

An "a" before a word is an article ("A chair"). A reply with two letters or two options that nothing decides is
unreadable (None). The other conventions are those of other projects (`spa3d.metrics.letter_conventions`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

from spa3d.errors import ConfigError, describe_unknown
from spa3d.metrics import letter_conventions
from spa3d.metrics.letter_conventions import Options
from spa3d.metrics.text_matching import mentions, words

DEFAULT = "spa3d"
Convention = Callable[[str, Options], str | None]
_ARTICLE = re.compile(r"(?<![\w'\u2019-])[Aa](?=\s+(?!(?:and|as|because|but|for|if|is|or|seems|since|so|was)\b)[a-z])")
_ANNOUNCED = re.compile(
    r"(?:\b(?:answer|option|choice)\s*(?:\b(?:is|would be|must be)\b|[:=])|\bI(?:'d| would)? (?:choose|select|pick)\b"
    r"|<answer>|\\boxed\{(?:\\text\{)?|答案是|答案为|选)(?:\s*(?:option|choice)\b)?"
    r"[\s(\[{*_`\"'$]*([A-Za-z])(?![\w'\u2019-])",
    re.IGNORECASE,
)
_MARKS = r"\])}>*_`\"'#$"
_START = re.compile(rf"[\s(\[{{<*_`\"'#$]*(?:[Oo]ption\s+)?([A-Za-z])(?:[\s{_MARKS}]*$|[{_MARKS}.:,;=]|\s*\n)")
_ALONE = re.compile(r"(?<![\w'\u2019-])([A-Z])(?![\w'\u2019-])")


def extract_letter(reply: str, options: Options, convention: str = DEFAULT) -> str | None:
    """Extract the letter of the option that a reply chooses; None if it cannot be read.

    Args:
        reply: free text, without thoughts.
        options: texts of the options by letter.
        convention: one of `CONVENTIONS`.

    Raises:
        ConfigError: there is no such convention.

    """
    if convention not in CONVENTIONS:
        raise ConfigError(describe_unknown("convention of option letters", convention, CONVENTIONS))
    return CONVENTIONS[convention](reply, options)


def read_letter(reply: str, options: Options) -> str | None:
    """Read a letter by the rules of spa3d."""
    text = _ARTICLE.sub(" ", unicodedata.normalize("NFKC", reply))
    announced = [match[1].upper() for match in _ANNOUNCED.finditer(text) if match[1].upper() in options]
    if announced:
        return announced[-1]
    letters = {letter for letter in _ALONE.findall(text) if letter in options}
    start = _START.match(text)
    if start and start[1].upper() in options:
        letters.add(start[1].upper())
    if letters:
        return letters.pop() if len(letters) == 1 else None
    return _find_named(reply, options)


def _find_named(reply: str, options: Options) -> str | None:
    """Find the only option whose words are in the reply."""
    named = {letter: option for letter, option in options.items() if mentions(reply, option)}
    longest = [
        letter
        for letter, option in named.items()
        if not any(words(other) != words(option) and mentions(other, option) for other in named.values())
    ]
    return longest[0] if len(longest) == 1 else None


CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        DEFAULT: read_letter,
        "vlm_option": letter_conventions.vlm_option,
        "vlm_text": letter_conventions.vlm_text,
        "vlm_can_infer": letter_conventions.vlm_can_infer,
        "vlm_characters_regex": letter_conventions.vlm_characters_regex,
        "lmms_mcq_extract": letter_conventions.lmms_mcq_extract,
        "lmms_mmmu": letter_conventions.lmms_mmmu,
        "lmms_3dsrbench": letter_conventions.lmms_3dsrbench,
        "lmms_vsibench_first_word": letter_conventions.lmms_vsibench_first_word,
        "lmms_mmbench": letter_conventions.lmms_mmbench,
    }
)
"""Rules by name; each takes a reply and the options."""
