"""The kit that all pages and pictures share: numbers, HTML, Markdown, SVG, pictures of clouds."""

from spa3d.rendering.point_cloud import contact_sheet, render

__all__ = ["contact_sheet", "render"]
