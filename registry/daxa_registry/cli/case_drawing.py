"""A case as a picture: its keys on the left, who leads on top, the addresses where they meet on the right. SVG 1.1.

It holds pseudonyms and members' names alone, and nothing that a viewer would load or run.
"""

from __future__ import annotations

import math
from xml.etree import ElementTree

from daxa_registry.service.cases import CaseView

_ROW = 34
_TOP = 96
_LEFT, _RIGHT, _WIDTH = 300, 640, 800
_FILL = {"controller": "#b3261e", "lender": "#2f6db5", "victim": "#c98a00"}
_INK, _PALE = "#1c1b1f", "#5f5f66"


def drawing(case: CaseView) -> str:
    """The picture as XML text. Lines are the thicker, the more hours a key was used there; dashed, it was only tried."""
    rows = max(len(case.parts), len(case.addresses), 1)
    height = _TOP + rows * _ROW + 24
    root = ElementTree.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "width": str(_WIDTH), "height": str(height),
         "viewBox": f"0 0 {_WIDTH} {height}", "font-family": "sans-serif", "font-size": "13"},
    )  # fmt: skip
    ElementTree.SubElement(root, "title").text = f"Case {case.number}"
    _add(root, "rect", x=0, y=0, width=_WIDTH, height=height, fill="#ffffff")
    members = len({part.member for part in case.parts})
    headline = f"Case {case.number}: {len(case.parts)} keys at {members} members, {len(case.addresses)} addresses"
    _text(root, 20, 30, headline, size=17)
    x = 20
    for role in ("controller", "lender", "victim"):
        if any(part.role == role for part in case.parts):
            _add(root, "circle", cx=x + 7, cy=52, r=7, fill=_FILL[role])
            _text(root, x + 20, 57, role)
            x += 110
    _text(root, x, 57, "line: hours of use; dashed: only tried", ink=_PALE)
    key_at = {part.subject: _at(i, len(case.parts), rows) for i, part in enumerate(case.parts)}
    address_at = {node: _at(i, len(case.addresses), rows) for i, node in enumerate(case.addresses)}
    for subject, node, hours in case.edges:
        line = _add(root, "line", x1=_LEFT, y1=key_at[subject], x2=_RIGHT, y2=address_at[node], stroke="#8a8a93")
        line.set("stroke-width", f"{min(1 + math.log2(1 + hours) / 2, 6):.1f}")
        line.set("stroke-opacity", "0.7")
        if not hours:
            line.set("stroke-dasharray", "5 4")
    for part in case.parts:
        y = key_at[part.subject]
        _add(root, "circle", cx=_LEFT, cy=y, r=10, fill=_FILL[part.role], stroke="#ffffff")
        _text(root, _LEFT - 20, y + 5, f"S{part.subject}  {part.member}  {part.level.name}", anchor="end")
    for node in case.addresses:
        y = address_at[node]
        _add(root, "rect", x=_RIGHT - 9, y=y - 9, width=18, height=18, fill=_INK)
        _text(root, _RIGHT + 20, y + 5, f"A{node}")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _at(place: int, places: int, rows: int) -> int:
    """The height of one of ``places``, spread over all rows."""
    return round(_TOP + (place + 0.5) * rows * _ROW / max(places, 1))


def _add(root: ElementTree.Element, tag: str, **values: object) -> ElementTree.Element:
    return ElementTree.SubElement(root, tag, {name: str(value) for name, value in values.items()})


def _text(
    root: ElementTree.Element, x: float, y: float, text: str, *, size: int = 13, anchor: str = "start", ink: str = _INK
) -> None:
    element = _add(root, "text", x=x, y=y, fill=ink)
    element.set("font-size", str(size))
    element.set("text-anchor", anchor)
    element.text = text
