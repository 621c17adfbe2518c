"""Where panels stand on a sheet: in rows of at most four, cuts through a solid side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdeinv.jobs.plot.panels import CutPanel, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Block", "Sheet", "arranged"]

MOST = 4
"""Columns."""
WIDTH, HEIGHT, STACKED = 3.6, 3.1, 3.9
"""Of a column, of a row, and of one with cuts above each other, in inches."""


@dataclass(frozen=True)
class Block:
    """Panels that stay together: one, or the three cuts across x, y and z through a field.

    Attributes:
        panels: one or three.
        flat: whether the cuts across x and y are so flat that they stand above each other.
    """

    panels: tuple[Panel, ...]
    flat: bool = False

    @property
    def columns(self) -> int:
        """How many it takes."""
        return 2 if self.flat else len(self.panels)

    @property
    def places(self) -> list[tuple[slice, int]]:
        """Of each panel the halves of the row, from above, and the column."""
        if self.flat:
            return [(slice(0, 1), 0), (slice(1, 2), 0), (slice(0, 2), 1)]
        return [(slice(0, 2), k) for k in range(self.columns)]


@dataclass(frozen=True)
class Sheet:
    """Rows of blocks.

    Attributes:
        columns: of the grid.
        rows: the blocks of each, from the left.
    """

    columns: int
    rows: tuple[tuple[Block, ...], ...]

    @property
    def heights(self) -> list[float]:
        """Of each row, in inches."""
        return [STACKED if any(b.flat for b in row) else HEIGHT for row in self.rows]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return WIDTH * self.columns, sum(self.heights)

    def axes(self, figure: Figure) -> Iterator[tuple[Panel, Axes]]:
        """Every panel with new axes at its place."""
        halves = [h / 2 for h in self.heights for _ in range(2)]
        grid = figure.add_gridspec(2 * len(self.rows), self.columns, height_ratios=halves)
        for i, row in enumerate(self.rows):
            column = 0
            for block in row:
                for panel, (part, right) in zip(block.panels, block.places, strict=True):
                    rows = slice(2 * i + part.start, 2 * i + part.stop)
                    yield panel, figure.add_subplot(grid[rows, column + right])
                column += block.columns


def arranged(panels: Sequence[Panel]) -> Sheet:
    """The sheet that leaves the fewest places empty, a wide one before a narrow one."""
    blocks = _blocks(panels)
    least = max(b.columns for b in blocks)
    most = min(MOST, sum(b.columns for b in blocks))
    narrow = min(most, max(least, MOST - 1))
    sheets = [Sheet(n, _rows(blocks, n)) for n in range(narrow, most + 1)]
    return min(sheets, key=lambda sheet: (sheet.columns * len(sheet.rows), -sheet.columns))


def _blocks(panels: Sequence[Panel]) -> list[Block]:
    """Panels in their order, three cuts at a time together."""
    left, found = list(panels), []
    while left:
        first = left[0]
        n = 3 if isinstance(first, CutPanel) else 1
        found.append(Block(tuple(left[:n]), flat=isinstance(first, CutPanel) and first.flat))
        del left[:n]
    return found


def _rows(blocks: Sequence[Block], columns: int) -> tuple[tuple[Block, ...], ...]:
    """Each block in the first row with room for it."""
    rows: list[list[Block]] = []
    for block in blocks:
        room = (row for row in rows if sum(b.columns for b in row) + block.columns <= columns)
        row = next(room, None)
        if row is None:
            rows.append([block])
        else:
            row.append(block)
    return tuple(map(tuple, rows))
