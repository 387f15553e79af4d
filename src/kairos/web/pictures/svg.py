"""Drawing: a picture becomes SVG that follows the page's colours, says what it shows, and is always the same bytes."""

from __future__ import annotations

import re
from itertools import count
from xml.etree import ElementTree

import vl_convert

from kairos.web.palette import COLOURS, PICTURE_FONT, css_variables
from kairos.web.pictures.picture import WIDTH, Picture
from kairos.web.words import clean

__all__ = ["draw", "draw_alone"]

_SVG = "http://www.w3.org/2000/svg"
_VARIABLE = {colour.light: f"var(--{colour.name})" for colour in COLOURS}
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG = re.compile(r"(\d+\.\d\d)\d+")
_CLUTTER = ("class", "version", "font-family", "pointer-events", "role", "aria-roledescription", "aria-hidden")

ElementTree.register_namespace("", _SVG)


def draw(picture: Picture) -> str:
    """SVG to put into a page, which defines the colours' variables and gives the size."""
    root = _tree(picture)
    width = float(root.attrib.pop("width"))
    del root.attrib["height"]
    if width < WIDTH / 2:  # or a lone square would fill the page
        root.attrib["style"] = f"width:{width:.0f}px;min-width:0"
    return _text(root)


def draw_alone(picture: Picture) -> str:
    """SVG to keep as a file: it carries its colours and its title."""
    root = _tree(picture, with_title=True)
    style = ElementTree.Element(f"{{{_SVG}}}style")
    style.text = f"{css_variables()}\n:root{{background:var(--paper);font-family:{PICTURE_FONT}}}"
    root.insert(2, style)
    return _text(root) + "\n"


def _tree(picture: Picture, *, with_title: bool = False) -> ElementTree.Element:
    specification = picture.specification(with_title=with_title)
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(specification))
    names = count()
    renamed: dict[str, str] = {}  # the drawer numbers its clip paths through, from picture to picture
    for element in root.iter():
        attributes = element.attrib
        for clutter in _CLUTTER:
            attributes.pop(clutter, None)
        if "id" in attributes:
            attributes["id"] = renamed.setdefault(attributes["id"], f"{picture.name}-{next(names)}")
        for paint in ("fill", "stroke"):
            if paint in attributes:
                attributes[paint] = _VARIABLE.get(attributes[paint], attributes[paint])
    for element in root.iter():
        for key, value in element.attrib.items():
            named = _REFERENCE.sub(lambda match: f"url(#{renamed.get(match[1], match[1])})", value)
            element.attrib[key] = _LONG.sub(r"\1", named)  # a hundredth of a pixel is enough
    _name(root, picture)
    return root


def _name(root: ElementTree.Element, picture: Picture) -> None:
    title_id, text_id = f"{picture.name}-title", f"{picture.name}-text"
    root.attrib |= {"role": "img", "aria-labelledby": f"{title_id} {text_id}"}
    for place, (tag, name, text) in enumerate(
        (("title", title_id, picture.title), ("desc", text_id, picture.description))
    ):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": name})
        element.text = clean(text)
        root.insert(place, element)


def _text(root: ElementTree.Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")
