"""``import spa3d.auto`` lets transformers' Auto classes load a run's ``model/`` folder."""

from __future__ import annotations

from spa3d.model import auto_classes as auto_classes
