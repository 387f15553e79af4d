"""``store verify``."""

from __future__ import annotations

from argparse import Namespace

from kairos.cli.opening import open_project
from kairos.cli.output import say, show_json
from kairos.values import plain, size_text

__all__ = ["verify"]


def verify(args: Namespace) -> int:
    """Reads every blob again; 1 if one is damaged, or is gone that nothing makes again."""
    from kairos.app.keeping import check_store

    with open_project(args) as project:
        found = check_store(project)
        if args.fetch and found.harmed:
            from kairos.app.remotes import mend

            mended = mend(project, [one.digest for one in found.harmed], remote=args.remote)
            if not args.json:
                say(f"{mended.blobs} of {len(found.harmed)} blobs were fetched anew.")
            found = check_store(project)
    if args.json:
        show_json({**plain(found), "is_sound": found.is_sound})
        return 0 if found.is_sound else 1
    for one in found.harmed:
        if one.how == "changed" or one.is_lasting:
            names = [*one.tracked, *one.needed_by]
            whose = f"needed by {', '.join(names[:5])}" if names else "needed by no fact"
            say(f"{one.digest} is {'damaged' if one.how == 'changed' else 'missing'}, {whose}")
    read = f"{found.blobs} blobs, {size_text(found.size_bytes)}"
    away = [one for one in found.harmed if one.how == "missing" and not one.is_lasting]
    gone = sum(not one.tracked for one in away)
    if found.is_sound:
        say(f"The store is sound: {read}, each as it was stored.")
    else:
        say(
            f"{read} were read.",
            "Damaged bytes are never used. What a remote has comes back with: kairos store verify --fetch",
            "What a step makes is made again with: kairos run --force STEP",
        )
    if paths := sorted({path for one in away for path in one.tracked}):
        number = sum(bool(one.tracked) for one in away)
        say(f"{number} blobs of tracked data ({', '.join(paths[:5])}) are not here. Type: kairos data pull")
    if gone:
        say(f"{gone} blobs of earlier runs are not here any more; a run that needs one makes it again.")
    return 0 if found.is_sound else 1
