"""Fields that data are extended by into the body, so that networks see them where images lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.typing import Array

__all__ = ["Extensions"]


@dataclass(frozen=True)
class Extensions:
    """Channel k of data y is Σ y_d f over the data d of that channel, f the field of each.

    Attributes:
        fields: the fields with their components (such as potential and gradient) at the nodes,
            shape (fields, components, nodes).
        field: which of them each datum has, shape (n_d,).
        channel: which channel each datum belongs to, from 0, shape (n_d,).
    """

    fields: Array
    field: NDArray[np.intp]
    channel: NDArray[np.intp]

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return int(self.channel.max()) + 1

    @property
    def slot(self) -> NDArray[np.intp]:
        """The place of each datum in a table (channels, fields), flat, shape (n_d,)."""
        return np.asarray(self.channel * len(self.fields) + self.field, dtype=np.intp)

    def __call__(self, data: Array) -> Array:
        """Channels (n, channels · components, nodes) of data (n, n_d)."""
        n, (fields, components, nodes) = len(data), self.fields.shape
        table = np.zeros((self.channels * fields, n))
        np.add.at(table, self.slot, data.T)
        found = table.T.reshape(n, -1, fields) @ self.fields.reshape(fields, -1)
        return np.asarray(found.reshape(n, self.channels * components, nodes))
