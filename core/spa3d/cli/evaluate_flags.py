"""Flags of ``spa3d evaluate`` that a run does not have: views, decoding, shards."""

from __future__ import annotations

from typing import Any

from spa3d.cli.flags import read_choice, read_number
from spa3d.config.overrides import Arguments
from spa3d.errors import ConfigError, describe_unknown
from spa3d.runtime.shards import Shard

OWN_FLAGS = {
    "--split NAME": "split that is evaluated (default: test)",
    "--limit N": "most questions per benchmark and set, a sample that depends on the seed alone; 0: all (default: 0)",
    "--views NAME,NAME": "what is shown: clean, noised, blind; blind is always there (default: clean,blind)",
    "--noise NAME": "of the view noised and of contrastive decoding; its settings follow as --noise.FIELD VALUE",
    "--batch-size N": "questions per forward (default: 64); less needs less memory",
    "--seed N": "of the questions, the noise, the draws and the intervals (default: 0)",
    "--decode NAME": "greedy (default); sample: tokens are drawn; contrast: logits of the clean cloud minus those of "
    "the noised one (VCD)",
    "--max-tokens N": "most tokens of a free answer (default: 64)",
    "--temperature X": "sample: the logits are divided by it (default with sample: 1)",
    "--top-p X": "sample: draw only among the most likely tokens that together have this probability (default: 1)",
    "--top-k N": "sample: draw only among the N most likely tokens (default: 0, all)",
    "--samples K": "sample: answers per free question; scores are their mean, with the spread (default: 1)",
    "--contrast-alpha X": "contrast: (1 + alpha) clean - alpha noised (default: 1)",
    "--contrast-cutoff X": "contrast: least probability of a token, relative to the likeliest one (default: 0.1)",
    "--shard i/n": "only this part of the questions; the last shard that ends writes the report",
}
VIEWS = ("clean", "noised", "blind")
DECODINGS = ("greedy", "sample", "contrast")
DRAWN = ("temperature", "top-p", "top-k", "samples")
IDLE = {
    **dict.fromkeys(("encoder", "projector", "llm", "base"), "the model is given"),
    "points": "the model says how its clouds are prepared",
    **dict.fromkeys(("objective", "train", "pairs"), "nothing is trained"),
    "resume": "the same command continues",
    **dict.fromkeys(
        ("blind", "no-blind"), "every question is also asked without its cloud; --views blind asks no other"
    ),
    **dict.fromkeys(("dry-run", "version"), "only spa3d run has it"),
}
"""Flags of a run that have no effect here, by their first word, and why."""


def refuse_idle(arguments: Arguments) -> list[str]:
    """List errors for flags of a run that have no effect here."""
    words = {flag.name: flag.name.partition(".")[0] for flag in arguments.flags}
    return [f"--{name}: no effect here: {IDLE[word]}; leave it out" for name, word in words.items() if word in IDLE]


def read_evaluation(arguments: Arguments) -> dict[str, Any]:
    """Read views, decoding, samples and shard; errors are added to the arguments."""
    views, shard = arguments.value("views") or "clean,blind", Shard()
    names = [name.strip() for name in views.split(",")]
    arguments.errors += [
        f"--views {views}: {describe_unknown('view', name, VIEWS)}" for name in names if name not in VIEWS
    ]
    if "noised" in names and not arguments.has("noise"):
        arguments.errors.append("--views noised: give the noise, as in: --noise mask --noise.level 0.5")
    try:
        shard = Shard.parse(arguments.value("shard") or "1/1", "--shard", "this process asks the i-th part")
    except ConfigError as error:
        arguments.errors.append(str(error))
    return {
        "views": tuple(dict.fromkeys([*names, "blind"])),
        "shard": shard,
        **_read_decoding(arguments),
    }


def _read_decoding(arguments: Arguments) -> dict[str, Any]:
    """Read the arguments of `Decoding` and `Contrast`, and the number of samples."""
    drawn = [name for name in DRAWN if arguments.has(name)]
    way = read_choice(arguments, "decode", DECODINGS)
    if drawn and not arguments.has("decode"):
        way = "sample"
    elif drawn and way == "greedy":
        arguments.errors.append(
            f"{_join(drawn)}: no effect with --decode greedy; leave it out, or give --decode sample"
        )
    sampled = way == "sample" or bool(drawn)
    contrasted = [name for name in ("contrast-alpha", "contrast-cutoff") if arguments.has(name)]
    if contrasted and way != "contrast":
        arguments.errors.append(f"{_join(contrasted)}: no effect without --decode contrast; leave it out, or give both")
    if way == "contrast" and not arguments.has("noise"):
        arguments.errors.append("--decode contrast: it compares the cloud with a noised one; give --noise NAME")
    return {
        "decoding": {
            "max_tokens": read_number(arguments, "max-tokens", 64, least=1, most=100_000),
            "temperature": read_number(arguments, "temperature", 1.0, least=1e-6, most=100) if sampled else 0.0,
            "top_p": read_number(arguments, "top-p", 1.0, least=1e-6, most=1),
            "top_k": read_number(arguments, "top-k", 0, least=0, most=10**7),
        },
        "chosen": bool(drawn) or arguments.has("decode"),
        "samples": read_number(arguments, "samples", 1, least=1, most=1000),
        "contrast": {
            "alpha": read_number(arguments, "contrast-alpha", 1.0, least=0, most=100),
            "cutoff": read_number(arguments, "contrast-cutoff", 0.1, least=0, most=1),
        }
        if way == "contrast"
        else None,
    }


def _join(names: list[str]) -> str:
    return " and ".join(f"--{name}" for name in names)
