"""The kit that all pages and pictures share: numbers, HTML, Markdown, SVG, pictures of clouds. Free of torch."""

from spa3d.rendering.cloud_scene import CloudImage, Scene, build_scene
from spa3d.rendering.html import (
    Headline,
    Page,
    isolate_text,
    render_cell,
    render_definitions,
    render_row,
    render_section,
    render_table,
    render_warnings,
)
from spa3d.rendering.line_chart import Frame
from spa3d.rendering.markdown import escape_markdown, render_bullets, render_markdown_table
from spa3d.rendering.point_cloud import choose_yaw, render, rotate_y_up
from spa3d.rendering.sheets import Strip, comparison_sheet, contact_sheet
from spa3d.rendering.svg import BarScale, round_ticks

__all__ = [
    "BarScale",
    "CloudImage",
    "Frame",
    "Headline",
    "Page",
    "Scene",
    "Strip",
    "build_scene",
    "choose_yaw",
    "comparison_sheet",
    "contact_sheet",
    "escape_markdown",
    "isolate_text",
    "render",
    "render_bullets",
    "render_cell",
    "render_definitions",
    "render_markdown_table",
    "render_row",
    "render_section",
    "render_table",
    "render_warnings",
    "rotate_y_up",
    "round_ticks",
]
