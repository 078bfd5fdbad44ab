"""Ids of models on the Hugging Face hub, told apart from paths."""

from __future__ import annotations

import re
from pathlib import Path

from spa3d.runtime.paths import folder_problem

HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")


def is_hub_id(name: str) -> bool:
    """Whether `name` is ``owner/name`` on the hub, and neither a folder nor below one."""
    path = Path(name)
    return HUB_ID.fullmatch(name) is not None and bool(folder_problem(path) and folder_problem(path.parent))
