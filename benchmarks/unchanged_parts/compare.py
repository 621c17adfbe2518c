"""Two stores side by side: one line a case, and what differs by how much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Arrays
from .store import Store

FIRST = 20
"""Draws of a chain that are compared by themselves: chains diverge from one rounding on."""

DRAWS = re.compile(r":unconstrained_posterior/xi$")
"""Arrays (chain, draw, unknown)."""

WHOLE = "(case)"
"""Stands for the arrays of a case that one side lacks; no pattern but this very name covers it."""

SHOWN = 6
"""Most arrays of one case that are told, the largest differences first."""


@dataclass(frozen=True)
class Intended:
    """A change that is meant.

    Attributes:
        case, array: regular expressions of the whole names; `WHOLE` for a case that is not there.
        reason: why.
    """

    case: str
    array: str
    reason: str

    def covers(self, case: str, array: str) -> bool:
        if WHOLE in (array, self.array):
            return array == self.array and bool(re.fullmatch(self.case, case))
        return bool(re.fullmatch(self.case, case) and re.fullmatch(self.array, array))


INTENDED: tuple[Intended, ...] = (
    Intended(
        ".*", ".*:two_level/finite", "whether every chain determines an estimate is kept beside it"
    ),
    Intended(
        ".*pinn.*", ".*:features", "a network's fixed random features are stored beside its weights"
    ),
)
"""Nothing that was computed before has changed; these arrays are new."""


@dataclass(frozen=True)
class Difference:
    """Of one array: how large (relative; infinite where it cannot be told) and in words."""

    array: str
    size: float
    words: str


def differences(name: str, a: Store, b: Store) -> list[Difference]:
    """What differs in a case, the largest first."""
    left, right = a.digests(name), b.digests(name)
    if left is None or right is None:
        return [Difference(WHOLE, np.inf, _absent(name, a, b))]
    full = a.arrays(name), b.arrays(name)
    found = list(_each(left, right, full))
    return sorted(found, key=lambda d: -d.size)


def _absent(name: str, a: Store, b: Store) -> str:
    words = [s.failures.get(name) or ("" if name in s.cases else "not run") for s in (a, b)]
    return "; ".join(f"{which}: {w}" for which, w in zip("AB", words, strict=True) if w)


def _each(
    left: dict[str, str], right: dict[str, str], full: tuple[Arrays, Arrays]
) -> Iterator[Difference]:
    for array in sorted(left.keys() | right.keys()):
        here, there = left.get(array), right.get(array)
        if here is None or there is None:
            yield Difference(array, np.inf, f"only in {'A' if there is None else 'B'}")
        elif here != there:
            yield _difference(array, here, there, full)


def _difference(array: str, here: str, there: str, full: tuple[Arrays, Arrays]) -> Difference:
    a, b = here.split(), there.split()
    if a[:2] != b[:2]:
        return Difference(array, np.inf, f"{' '.join(a[:2])} became {' '.join(b[:2])}")
    if a[2].startswith("="):
        size = relative(*(np.asarray(complex(x[2][1:])) for x in (a, b)))
        return Difference(array, size, f"{a[2][1:]} became {b[2][1:]}")
    if not all(array in part for part in full):
        return Difference(array, np.inf, f"norm {a[3]} became {b[3]}; no arrays to compare")
    return _measured(array, *(part[array] for part in full))


def _measured(array: str, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> Difference:
    size = relative(a, b)
    words = f"{size:.1e}"
    if DRAWS.search(array):
        words += f" ({chains(a, b)})"
    elif size == 0:
        words = "other bytes of equal numbers"
    return Difference(array, size, words)


def relative(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Largest |a − b| over the largest |a|; infinite where one is not finite and other than b."""
    if not a.size:
        return 0.0
    a, b = (np.asarray(x, complex if x.dtype.kind == "c" else float) for x in (a, b))
    good = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~good], b[~good], equal_nan=True):
        return np.inf
    if not good.any():
        return 0.0
    most, scale = float(np.max(np.abs(a - b)[good])), float(np.max(np.abs(a[good])))
    return most / scale if scale else (np.inf if most else 0.0)


def chains(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> str:
    """The first draws, and how far means (in standard deviations) and standard deviations went."""
    flat_a, flat_b = (x.reshape(-1, x.shape[-1]) for x in (a, b))
    sd = flat_a.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nanmax(np.abs(flat_a.mean(axis=0) - flat_b.mean(axis=0)) / sd)
        ratio = np.nanmax(np.abs(flat_b.std(axis=0) / sd - 1))
    first = relative(a[:, :FIRST], b[:, :FIRST])
    return f"first {FIRST} draws {first:.1e}, means {mean:.2f} sd, sds {100 * ratio:.0f} %"


def compare(a: Store, b: Store, names: list[str]) -> bool:
    """Print a line a case; whether all that differs is intended."""
    good = True
    for name in names:
        found = differences(name, a, b)
        reasons, rest = set[str](), list[Difference]()
        for one in found:
            reason = next((i.reason for i in INTENDED if i.covers(name, one.array)), None)
            rest.append(one) if reason is None else reasons.add(reason)
        good = good and not rest
        print(f"{name:26} {_verdict(len(a.cases.get(name, ())), found, rest, reasons)}")
    return good


def _verdict(count: int, found: list[Difference], rest: list[Difference], reasons: set[str]) -> str:
    if not found:
        return f"bit for bit ({count} arrays)"
    told = "".join(f"\n{'':28}{d.array}: {d.words}" for d in (rest or found)[:SHOWN])
    more = f"\n{'':28}and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
    meant = f"; intended: {'; '.join(sorted(reasons))}" if reasons else ""
    if found[0].array == WHOLE:
        return f"{'DIFFERS' if rest else 'differs'}: {found[0].words}{meant}"
    head = f"DIFFERS in {len(rest)} of {count} arrays" if rest else f"{len(found)} arrays differ"
    return f"{head}{meant}{told}{more}"
