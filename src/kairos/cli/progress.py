"""A replay on the screen: where it is, what was decided and why, and the figures at the end."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from kairos.app.story import Story
from kairos.app.telling import DECISIONS, decision_line
from kairos.ledger import Entry
from kairos.web.words import loss_text

__all__ = ["Screen"]

_COLOURS = {"pass": "green", "fail": "red", "hold": "yellow", "live": "bold green", "rolled_back": "bold red"}


class Screen:
    """Prints a replay as it goes. Use it as a context manager.

    Args:
        quiet: Prints nothing until the end.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task("traffic", total=1.0, visible=False)

    def __enter__(self) -> Screen:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def stage(self, sentence: str) -> None:
        """A new part begins."""
        self._console.print(f"[bold]{escape(sentence)}[/bold]")

    def progress(self, done: float) -> None:
        """Moves the bar."""
        self._progress.update(self._task, completed=done, visible=done < 1.0)

    def fact(self, entry: Entry) -> None:
        """Prints a decision in one line, as far as the screen is wide enough."""
        if entry.kind not in DECISIONS or (entry.kind == "finding" and entry.body["level"] != "alarm"):
            return
        line = decision_line(entry)
        colour = _COLOURS.get(line.stage or "", _COLOURS.get(line.verdict or "", "default"))
        told = f"{line.at:%Y-%m-%d}  {line.kind:8}{line.subject:12}"
        self._console.print(f"[dim]{escape(told)}[/dim][{colour}]{escape(line.sentence)}[/{colour}]", soft_wrap=True)

    def figures(self, story: Story) -> None:
        """Prints the table at the end, and where everything is."""
        title = f"{story.span.start:%Y-%m-%d} to {story.span.end:%Y-%m-%d}"
        table = Table(title=title, title_justify="left")
        table.add_column("policy", no_wrap=True)
        for head in (story.measured_in, "deployments", "impossible predictions that left"):
            table.add_column(head, justify="right")
        for line in story.policies:
            table.add_row(line.name, loss_text(line.loss), str(line.deployments), str(line.impossible_predictions))
        self._console.print(table)
        for line in story.policies:
            self._console.print(f"  {line.name + ':':15}{escape(line.note)}", soft_wrap=True)
        for name, place in story.places.items():
            self._console.print(f"  {name + ':':15}{escape(place)}", soft_wrap=True)
        self._console.print(f"  ledger head:   entry {story.ledger_head}, {story.ledger_hash}", soft_wrap=True)
