"""From values to HTML: templates that escape whatever they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kairos.web.palette import PICTURE_FONT, css_variables
from kairos.web.words import clean, count_text, loss_text, moment_text

__all__ = ["render_page"]


def render_page(template: str, **values: Any) -> str:
    """The page that a template makes of these values; its bytes depend on nothing else."""
    return _TEMPLATES.get_template(template).render(values) + "\n"


def _printable(value: Any) -> Any:
    is_html = hasattr(value, "__html__")  # escaped already
    return clean(value) if isinstance(value, str) and not is_html else value


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count_text, "loss": loss_text, "moment": moment_text}
    environment.globals |= {"colours": css_variables(), "picture_font": PICTURE_FONT}
    return environment


_TEMPLATES = _environment()
