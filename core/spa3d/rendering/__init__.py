"""The kit that all pages and pictures share: numbers, HTML, Markdown, SVG, pictures of clouds."""

from spa3d.rendering.point_cloud import render
from spa3d.rendering.sheets import contact_sheet

__all__ = ["contact_sheet", "render"]
