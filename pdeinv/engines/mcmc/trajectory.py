"""What one Hamiltonian trajectory is told as, and what the trajectories of a chain add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pdeinv.engines.mcmc.kernel import Point

__all__ = ["Tally", "Trajectory"]


@dataclass(frozen=True)
class Trajectory:
    """Where a trajectory ended.

    Attributes:
        end: the point.
        chance: the probability of accepting it; 0 for a divergent one.
        leapfrogs: how many gradients it took.
        length: its path in radians, as far as planned.
        divergent: whether a solve failed or the energy error passed the limit.
        slope: derivative of the criterion of :class:`Path` by the log path.
    """

    end: Point
    chance: float
    leapfrogs: int
    length: float
    divergent: bool
    slope: float = 0.0


@dataclass(frozen=True)
class Tally:
    """What the trajectories after the warm-up add up to."""

    leapfrogs: int = 0
    length: float = 0.0
    divergent: int = 0
    jumps: int = 0

    def plus(self, one: Trajectory) -> Tally:
        """With one more."""
        return replace(
            self,
            leapfrogs=self.leapfrogs + one.leapfrogs,
            length=self.length + one.length,
            divergent=self.divergent + one.divergent,
        )
