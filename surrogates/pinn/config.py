"""What a user may set of a physics-informed network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdeinv.config import Config, Width

__all__ = ["PinnConfig"]


class PinnConfig(Config):
    """A network and its training in blocks with fresh points: Adam, then L-BFGS or Gauss-Newton."""

    width: Width = Field(16, ge=2, description="units of a hidden layer")
    depth: int = Field(3, ge=1, le=1000, description="hidden layers")
    activation: Literal["tanh", "sine"] = Field("tanh", description="of the hidden units")
    features: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="random Fourier features in front of the network; 0: none",
    )
    feature_std: float = Field(
        1.0, gt=0, description="standard deviation of their frequencies, half box lengths per 2π"
    )
    points: int = Field(
        1000, ge=8, le=1_000_000, description="collocation points inside, drawn anew per block"
    )
    side_points: int = Field(
        100, ge=4, le=1_000_000, description="the same on each side with a soft condition"
    )
    adam_steps: int = Field(250, ge=0, description="iterations of Adam")
    learning_rate: float = Field(3e-3, gt=0, description="of Adam; falls along half a cosine")
    lbfgs_steps: int = Field(3000, ge=0, description="most iterations of L-BFGS")
    finish: Literal["lbfgs", "gauss-newton"] = Field(
        "gauss-newton", description="what follows Adam; gauss-newton suits some 2000 weights"
    )
    newton_steps: int = Field(300, ge=0, description="most steps of Gauss-Newton")
    newton_block: int = Field(20, ge=1, description="the same on one set of collocation points")
    memory: int = Field(50, ge=1, description="pairs that L-BFGS remembers within a block")
    block: int = Field(250, ge=1, description="iterations on one set of collocation points")
    balance: bool = Field(
        True, description="weigh soft conditions so that their gradients are as large as the rest"
    )
    tolerance: float = Field(
        1e-3, ge=0, description="stop where the residual's rms is below this share of its terms"
    )
    patience: int = Field(
        4, ge=1, description="stop after so many blocks whose residual at fresh points is no lower"
    )
    dtype: Literal["float64", "float32"] = Field("float64", description="of all tensors")

    @property
    def adam_blocks(self) -> int:
        """Blocks of Adam."""
        return -(-self.adam_steps // self.block)

    @property
    def blocks(self) -> int:
        """All blocks."""
        if self.finish == "lbfgs":
            return self.adam_blocks + -(-self.lbfgs_steps // self.block)
        return self.adam_blocks + -(-self.newton_steps // self.newton_block)
