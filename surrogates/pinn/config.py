"""What a user may set of a physics-informed network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdeinv.config import Config

__all__ = ["PinnConfig"]


class PinnConfig(Config):
    """A network and its training: Adam, then L-BFGS, in blocks with fresh collocation points."""

    width: int = Field(40, ge=2, description="units of a hidden layer")
    depth: int = Field(3, ge=1, description="hidden layers")
    activation: Literal["tanh", "sine"] = Field("tanh", description="of the hidden units")
    features: int = Field(
        0, ge=0, description="random Fourier features in front of the network; 0: none"
    )
    feature_std: float = Field(
        1.0, gt=0, description="standard deviation of their frequencies, half box lengths per 2π"
    )
    points: int = Field(1000, ge=8, description="collocation points inside, drawn anew per block")
    side_points: int = Field(100, ge=4, description="the same on each side with a soft condition")
    adam_steps: int = Field(500, ge=0, description="iterations of Adam")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam; falls along half a cosine")
    lbfgs_steps: int = Field(3000, ge=0, description="most iterations of L-BFGS")
    memory: int = Field(50, ge=1, description="pairs that L-BFGS remembers within a block")
    block: int = Field(250, ge=1, description="iterations on one set of collocation points")
    balance: bool = Field(
        True, description="weigh soft conditions so that their gradients are as large as the rest"
    )
    tolerance: float = Field(
        1e-3, ge=0, description="stop where the residual's rms is below this share of its terms"
    )
    dtype: Literal["float64", "float32"] = Field("float64", description="of all tensors")

    @property
    def adam_blocks(self) -> int:
        """Blocks of Adam."""
        return -(-self.adam_steps // self.block)

    @property
    def blocks(self) -> int:
        """All blocks."""
        return self.adam_blocks + -(-self.lbfgs_steps // self.block)
