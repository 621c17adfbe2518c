"""Named random streams from one root seed, so that adding a stream never shifts another."""

from __future__ import annotations

import json
import secrets
import zlib

import numpy as np

from pdeinv.foreign import parse_json

__all__ = ["dump_state", "fresh_seed", "load_state", "set_aside", "stream"]


def fresh_seed() -> int:
    """A root seed drawn from the operating system; callers print and store it."""
    return secrets.randbits(31)


def stream(seed: int, name: str, k: int = 0) -> np.random.Generator:
    """The generator of stream ``name`` number ``k`` (for example ``chain``, 3) under ``seed``.

    Streams are ``SeedSequence(seed, spawn_key=(crc32(name), k))``: independent of one another, and
    stream ``k`` does not depend on how many others are used.
    """
    key = (zlib.crc32(name.encode()), k)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def dump_state(rng: np.random.Generator) -> str:
    """The exact state of a generator as JSON text, for checkpoints."""
    return json.dumps(rng.bit_generator.state)


def load_state(text: str) -> np.random.Generator:
    """The generator that :func:`dump_state` described."""
    rng = np.random.Generator(np.random.PCG64())
    rng.bit_generator.state = parse_json(text)
    return rng


def set_aside(rng: np.random.Generator, k: int = 1) -> np.random.Generator:
    """Generator ``k`` of those far down the course of ``rng``, which is left where it is.

    For something new in the midst of a stream whose later numbers shall stay what they were: each
    is as good as 2^127 draws from the next (O'Neill 2014).
    """
    bits = rng.bit_generator
    assert isinstance(bits, np.random.PCG64)
    return np.random.Generator(bits.jumped(k))
