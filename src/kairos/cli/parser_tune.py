"""``tune`` with its options. Loads nothing but ``argparse``."""

from __future__ import annotations

from kairos.cli.parser_making import Commands, command, count

__all__ = ["add_tune"]


def add_tune(commands: Commands) -> None:
    """Adds the command."""
    tune = command(commands, "tune", "tuning:tune", "search a model's params; judge the best on rows it never saw")
    tune.add_argument("model", metavar="MODEL")
    tune.add_argument("--trials", metavar="N", type=count, default=30, help="in all, with those there are; default: 30")
    what = "LOW..HIGH, LOW..HIGH:log, LOW..HIGH:step=S, or A,B,C; without one, as the code says"
    tune.add_argument("--space", metavar="STEP.PARAM[=RANGE]", action="append", default=[], help=what)
    tune.add_argument(
        "-p", dest="params", metavar="STEP.PARAM=VALUE", action="append", default=[], help="in all trials"
    )
    tune.add_argument("--window", metavar="START..END", help="the data; the end of it is kept to judge the best")
    tune.add_argument("--workers", metavar="N", type=count, default=1, help="trials at once; default: one")
    tune.add_argument("--time-limit", metavar="TIME", help="begin no trial after it, as in 10m")
    tune.add_argument(
        "--sampler", choices=("tpe", "qmc", "random", "grid"), default="tpe", help="how to search; default: tpe"
    )
    pruners = "median|percentile[:N]|successive-halving|hyperband|none"
    tune.add_argument("--pruner", metavar=pruners, default="median", help="what stops a trial early; default: median")
    after = "stop no trial before it has reported this step; default: 0"
    tune.add_argument("--prune-after", metavar="STEP", type=int, default=0, help=after)
    tune.add_argument("--seed", type=int, default=0, help="of the search; another one is another study")
    tune.add_argument("--register", action="store_true", help="if the best beats the current params: as a version")
