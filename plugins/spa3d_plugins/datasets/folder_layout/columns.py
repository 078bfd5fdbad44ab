"""Columns of tables of texts, or keys of their entries."""

from __future__ import annotations

NAMES = ("file", "file_name", "filename", "path", "object_id", "id", "uid", "point", "point_cloud", "point_clouds")
"""Columns that name the cloud; of several the first counts."""
CAPTIONS = ("caption", "captions", "text", "description")
"""Columns of captions."""
TEXTS = (*CAPTIONS, "question", "answer", "conversations", "messages", "conversation_type")
"""Columns of texts."""
PROPERTIES = ("category", "group", "split", "main_color", "shape")
"""Columns with one value per cloud."""
