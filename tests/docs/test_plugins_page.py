"""docs/plugins.md lists every clause of the kit, in words of the kit."""

from pathlib import Path

import pytest

from pdeinv.plugins.conformance import engine_kit as engines
from pdeinv.plugins.conformance import problem_kit as problems
from pdeinv.plugins.conformance import surrogate_kit as surrogates

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
KITS = {"problems": problems, "engines": engines, "surrogates": surrogates}


def rows(kit):
    """The table of a kit's clauses."""
    lines = [f"| `{c.id}` | {c.promise} | `{c.where}` |" for c in kit.CLAUSES.clauses.values()]
    return "\n".join(["| clause | promise | said in |", "|---|---|---|", *lines])


def between(text, name):
    """What stands between the marks of a kit."""
    return text.partition(f"<!-- clauses of {name}: begin -->\n")[2].partition(
        f"\n<!-- clauses of {name}: end -->"
    )[0]


@pytest.mark.parametrize("name", KITS)
def test_the_page_lists_every_clause(name):
    assert between(PAGE.read_text(), name) == rows(KITS[name])
