"""``models card``."""

from __future__ import annotations

from argparse import Namespace

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.errors import UsageError
from kairos.store.files import write_atomically
from kairos.values import VersionRef

__all__ = ["card"]


def card(args: Namespace) -> int:
    """Prints a version's card as Markdown, or writes it as that or as a page."""
    from kairos.app.carding import make_card, markdown

    place = args.output
    if place is not None and place.suffix not in (".md", ".html"):
        raise UsageError("A card has another form.", given=place.name, accepted="FILE.md or FILE.html")
    with open_project(args) as project:
        made = make_card(project, VersionRef.parse(args.version))
    if place is None:
        if args.json:
            show_json({"version": made.version, "sections": made.sections, "importances": made.importances})
        else:
            print(markdown(made), end="")
        return 0
    if place.suffix == ".html":
        from kairos.web.card import render_card

        text = render_card(made)
    else:
        text = markdown(made)
    write_atomically(place.absolute(), text.encode())
    if args.json:
        show_json({"version": made.version, "file": str(place)})
    else:
        say(f"The card of {made.version} is in {place}")
    return 0
