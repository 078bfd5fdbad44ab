"""Chat template in Jinja, for programs that do not know spa3d."""

from __future__ import annotations

from spa3d.contracts.dataset import POINT
from spa3d.model.chat_templates import Frames

_TEMPLATE = """
{%- set text = messages[0].content if messages[0].role == 'system' else system -%}
{{- start + (head[0] + text + head[1] if text else '') -}}
{%- for message in messages if message.role != 'system' -%}
    {%- set shown = namespace(text=message.content if message.content is string else '') -%}
    {%- for part in (message.content if message.content is not string else []) -%}
        {%- if part.type == 'point_cloud' -%}
            {%- set shown.text = shown.text + (mark if shown.text else mark + '\\n') -%}
        {%- elif part.type == 'text' -%}
            {%- set shown.text = shown.text + part.text -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if message.role == 'assistant' -%}
        {{- answer[0] + shown.text + answer[1] + end if shown.text or not role else '' -}}
    {%- else -%}
        {{- question[0] + shown.text | replace(mark, points) + question[1] if shown.text or not role else empty -}}
        {{- role -}}
    {%- endif -%}
{%- endfor -%}
"""


def render_jinja(frames: Frames, *, start: str, end: str, system: str, points: str) -> str:
    """Write the chat template that gives the text of `spa3d.model.chat_templates.make_template`.

    A cloud is shown where a question has the mark `POINT`, or, in a list of contents, an entry of the type
    ``point_cloud``. The role of an answer follows every question, so ``add_generation_prompt`` has no effect.

    Args:
        frames: of the conversation.
        start: start token, which the tokenizer puts in front by itself; empty: none.
        end: end token of an answer.
        system: system prompt of conversations without one.
        points: the point tokens of one cloud.

    """
    values = {
        **{name: getattr(frames, name).split("{}") for name in ("head", "question", "answer")},
        "role": frames.role,
        "empty": frames.empty,
        "mark": POINT,
        "start": start,
        "end": end,
        "system": system,
        "points": points,
    }
    # ascii() writes texts and lists as Jinja reads them
    return "".join(f"{{%- set {name} = {value!a} -%}}\n" for name, value in values.items()) + _TEMPLATE.lstrip("\n")
