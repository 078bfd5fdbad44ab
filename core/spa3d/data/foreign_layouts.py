"""Layouts of other projects' JSON that are not read, so that a message can say what a file looks like."""

from __future__ import annotations

from typing import Any

EXAMPLE = (
    'an entry is {"object_id": "ID", "conversations": [{"from": "human", "value": "<point>\\nQUESTION"}, '
    '{"from": "gpt", "value": "ANSWER"}]}, and its cloud has the ID as name'
)
NAMES_CLOUD = frozenset({"object_id", "point_clouds", "point_cloud", "point"})
"""Keys that name the cloud of an entry."""
HAS_TURNS = frozenset({"conversations", "messages"})
"""Keys of the turns of an entry."""

_ONE_RECORD = "one entry, or JSON lines; write a JSON array of entries, [{…}, {…}]"
_REWRITE = f"write it anew: {EXAMPLE}"
_FILES = {
    "results": "the results of an evaluation with PointLLM; give the file of references instead",
    "questions": f"VQA's or SQA3D's questions; {_REWRITE}",
    "annotations": f"COCO's annotations, or VQA's or SQA3D's answers; {_REWRITE}",
    **dict.fromkeys(("images", "info", "licenses", "license"), f"COCO's, VQA's or SQA3D's annotations; {_REWRITE}"),
    **dict.fromkeys(("rows", "features"), f"rows of a Hugging Face data set; {_REWRITE}"),
    "version": f"SQuAD's questions; {_REWRITE}",
    "data": f"a file whose entries are under the key 'data'; write the array alone, and {_REWRITE}",
    **dict.fromkeys(sorted(NAMES_CLOUD | HAS_TURNS | {"id"}), _ONE_RECORD),
}
"""Keys of a file that is a JSON object → what the file is."""
_ENTRIES: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"scene_id", "situation"}), f"SQA3D's questions; {_REWRITE}"),
    (frozenset({"scene_id", "question"}), f"ScanQA's or 3D-LLM's questions about scenes; {_REWRITE}"),
    (frozenset({"scene_id", "description"}), f"ScanRefer's descriptions; {_REWRITE}"),
    (frozenset({"question", "answers"}), f"3D-LLM's questions; {_REWRITE}"),
    (frozenset({"image_id"}), f"COCO's captions or VQA's questions about images; {_REWRITE}"),
    (frozenset({"prompt", "chosen"}), "preference pairs; pass the file with --pairs.path"),
    (frozenset({"instruction", "output"}), f"LLaMA-Factory's alpaca layout; {_REWRITE}"),
    (frozenset({"query", "response"}), f"ms-swift's questions and answers; {_REWRITE}"),
    (frozenset({"row_idx", "row"}), f"rows of a Hugging Face data set; {_REWRITE}"),
    *(
        (frozenset({key}), f"LLaVA's conversations about images, which are not read; where there are clouds, {EXAMPLE}")
        for key in ("image", "images", "video", "videos")
    ),
    (HAS_TURNS - {"messages"}, f"conversations that name no cloud (ShareGPT, LLaVA); {EXAMPLE}"),
    (HAS_TURNS - {"conversations"}, f"messages that name no cloud (ShareGPT, ms-swift); {EXAMPLE}"),
)
"""Keys of an entry → what it is; the first that fits."""


def describe_entry(entry: Any) -> str:
    """Describe whose layout an entry has that cannot be read; empty if it is unknown, or can be read."""
    if not isinstance(entry, dict) or (entry.keys() & NAMES_CLOUD and entry.keys() & HAS_TURNS):
        return ""
    return next((what for keys, what in _ENTRIES if keys <= entry.keys()), "")


def describe_file_key(key: str) -> str:
    """Describe a file that is a JSON object with this key; empty if the key may be the id of an object."""
    return _FILES.get(key, "")
