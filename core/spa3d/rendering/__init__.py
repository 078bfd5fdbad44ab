"""Rendering kit of all pages: numbers, HTML, Markdown, SVG, pictures of clouds. No torch."""

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
from spa3d.rendering.sheets import Strip, draw_comparison_sheet, draw_contact_sheet
from spa3d.rendering.svg import BarScale, choose_ticks

__all__ = [
    "BarScale",
    "CloudImage",
    "Frame",
    "Headline",
    "Page",
    "Scene",
    "Strip",
    "build_scene",
    "choose_ticks",
    "choose_yaw",
    "draw_comparison_sheet",
    "draw_contact_sheet",
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
]
