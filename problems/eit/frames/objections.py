"""What speaks against the order and signs of a frame, whose voltages may be complex.

V = pᵀ R c with a complex symmetric R: real and imaginary part obey reciprocity each by itself, and
one of them may be wrong alone, or so small that the other hides its errors. With exp(+iωt) and
γ = σ + iωε the real part of R is positive and the imaginary part negative semidefinite in any
passive body (Borcea 2002): voltages whose phase has the other sign are no body's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pdeinv.typing import Array

from .reciprocity import MIN_LIKENESS, Numbers, Reciprocity, reciprocity, rms

__all__ = ["objection"]

VISIBLE = 5.0
"""A part whose rms is no more than this many noise standard deviations tells nothing."""
PARTS = ("real part", "imaginary part")
_PHASE = (
    "has the sign of no body (exp(+iωt): a capacitance makes the voltage lag); it looks as if the "
    "sign of the phase is reversed"
)


def objection(
    current: Array,
    pattern: Array,
    voltage: Numbers,
    places: Array | None = None,
    *,
    noise_std: float = 0.0,
    signed: bool = True,
) -> str | None:
    """One line on why order or signs are implausible and what they look like, else None.

    Args:
        current: see :func:`reciprocity`, as for the others.
        pattern: see there.
        voltage: real or complex.
        places: see there.
        noise_std: see there; where it is not known, the smaller violation by one of the parts of
            complex voltages stands for it, as an instrument's noise is that of both.
        signed: see there.
    """

    def examined(values: Numbers, signed: bool) -> Reciprocity:
        return reciprocity(current, pattern, values, places, noise_std=noise_std, signed=signed)

    whole = examined(voltage, signed).warning
    if not np.iscomplexobj(voltage):
        return whole
    # a gap is often NaN + 0j
    tables = [np.where(np.isfinite(voltage), t, np.nan) for t in (voltage.real, -voltage.imag)]
    # a capacitive inclusion makes an imaginary part that is unlike that of a uniform body
    parts = examined(tables[0], signed), examined(tables[1], False)
    sizes = [rms(table) for table in tables]
    noise = noise_std or min(part.noise_std for part in parts)
    judged = {
        name: replace(part, limit=max(part.limit, VISIBLE * noise / size)).warning
        for name, part, size in zip(PARTS, parts, sizes, strict=True)
        if size > VISIBLE * noise
    }
    if signed and PARTS[1] in judged and parts[1].likeness < -MIN_LIKENESS:
        judged[PARTS[1]] = judged[PARTS[1]] or _PHASE
    return _said(whole, judged)


def _said(whole: str | None, judged: Mapping[str, str | None]) -> str | None:
    """What to tell of the whole, or of the one part that is wrong where the other is right."""
    found = {name: text for name, text in judged.items() if text is not None}
    if len(found) == 1 and len(judged) == 2:
        return next(f"{name}: {text}" for name, text in found.items())
    if not found and set(judged) == {PARTS[1]}:
        return None
    return whole or next(iter(found.values()), None)
