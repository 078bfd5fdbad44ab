"""All categories, and all values of facts."""

from __future__ import annotations

from spa3d_plugins.datasets.shapes_world.furniture import FURNITURE
from spa3d_plugins.datasets.shapes_world.outdoors import OUTDOORS
from spa3d_plugins.datasets.shapes_world.vehicles import VEHICLES

CATEGORIES = tuple(sorted((*FURNITURE, *VEHICLES, *OUTDOORS), key=lambda category: category.name))
BY_NAME = {category.name: category for category in CATEGORIES}
USES = tuple(sorted({category.use for category in CATEGORIES}))
TEXTURES = ("smooth", "striped", "spotted", "rough")
COLORS = {
    "red": (0.85, 0.10, 0.10),
    "orange": (1.00, 0.50, 0.00),
    "yellow": (1.00, 0.88, 0.10),
    "green": (0.10, 0.60, 0.18),
    "blue": (0.10, 0.25, 0.88),
    "purple": (0.56, 0.12, 0.66),
    "brown": (0.42, 0.24, 0.10),
    "white": (0.94, 0.94, 0.94),
    "black": (0.07, 0.07, 0.07),
}
"""rgb in [0, 1]. Far enough apart that neither the color noise nor a lightened stripe changes the name."""
