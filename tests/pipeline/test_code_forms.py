"""Whatever form Python gives to a use, what is used counts; and however a person rewrites the same, nothing does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kairos.pipeline.code import CodeIndex, Reached
from tests.pipeline.projects import write_project

DEEP = "def deep(x): return x + 77\ndef mid(x): return deep(x)\n"
"""A helper two calls away."""
BLOCKS = (Path(__file__).parent / "code_forms.txt").read_text().split("\n=== ")[1:]
FORMS = {name: text for name, _, text in (block.partition("\n") for block in BLOCKS)}

REWRITTEN = {
    "a comment": ("return x + 77", "return x + 77  # what a person reads"),
    "a docstring": ("def mid(x): return", "def mid(x):\n    'What a person reads.'\n    return"),
    "quotes and prefixes": ("'text'", 'u"te" "xt"'),
    "numbers": ("x + 77", "x + 0x4D"),
    "brackets, lines and commas": ("[1, 2]", "[\n    1,\n    (2),\n]"),
    "the order of definitions": (DEEP, "".join(reversed(DEEP.splitlines(keepends=True)))),
    "the order of imports": ("import json\nimport math\n", "import math\nimport json\n"),
    "an import that is not used": ("import json\n", "import json\nimport numpy\n"),
    "an import for types": ("import json\n", "import json\nif TYPE_CHECKING:\n    from scipy import stats\n"),
    "a helper that is not used": ("return -1", "return -2"),
    "a registry that is not used": ("OTHER.append(1)", "OTHER.append(2)"),
    "what a script does": ("print(mid(1))", "VALUES.clear()"),
    "what a logger is told": ("log('loaded')", "log('it is loaded')"),
}
HELPER = f"""
import json
import math
from logging import getLogger
from typing import TYPE_CHECKING
{DEEP}
VALUES = [1, 2]
OTHER = []
OTHER.append(1)
logger = getLogger('text')
def text(): logger.info('text'); return ('text', VALUES, json, math)
def log(text): logger.info(text)
def unused(): return -1
LOADED = log('loaded')
if __name__ == '__main__':
    print(mid(1))
"""


def reached(root: Path, text: str) -> Reached:
    """What step ``a`` reaches in a project that is written as those of ``code_forms.txt`` are."""
    pipeline, *files = text.split("\n[")
    for name, _, code in (file.partition("]\n") for file in files):
        path = root / name.removesuffix("]")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    source = write_project(root, f"\n{pipeline}".replace("\n-> ", "\n@step\ndef a(): return "))
    return CodeIndex(source).reached("pipeline", "a")


@pytest.mark.parametrize("form", FORMS)
def test_what_is_used_counts_in_every_form(tmp_path: Path, form: str) -> None:
    """77 is 78 now, somewhere far away."""
    before, after = (reached(tmp_path, FORMS[form].replace("77", number)) for number in ("77", "78"))
    assert after.code != before.code
    assert after.code.keys() == before.code.keys()


@pytest.mark.parametrize("what", REWRITTEN)
def test_the_same_in_other_words_counts_for_nothing(tmp_path: Path, what: str) -> None:
    """The step uses the helper's function, its texts and its table."""
    old, new = REWRITTEN[what]
    assert old in HELPER
    use = "from h import mid, text\n-> (mid(1), text())\n[h.py]\n"
    assert reached(tmp_path, use + HELPER.replace(old, new)) == reached(tmp_path, use + HELPER)


WHERE = """
import sys
from pathlib import Path
from kairos.pipeline.code import CodeIndex
from kairos.pipeline.project import PipelineSource
print(CodeIndex(PipelineSource(root=Path(sys.argv[1]), file="pipeline.py")).reached("pipeline", "a"))
"""


def test_neither_person_nor_place_counts(tmp_path: Path) -> None:
    """Another folder, user, home, host name, language, time zone and order of sets."""
    said = set()
    for name, seed in (("alice", "1"), ("bob b", "2")):
        root = tmp_path / name
        root.mkdir()
        reached(root, FORMS["a registry"])
        persons = {"USER": name, "LOGNAME": name, "HOME": str(root), "HOSTNAME": name, "TZ": f"UTC{seed}"}
        environment = {**os.environ, **persons, "PYTHONHASHSEED": seed, "LC_ALL": "C" if seed == "1" else "C.UTF-8"}
        command = [sys.executable, "-c", WHERE, str(root)]
        said.add(subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(said) == 1
