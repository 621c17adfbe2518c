"""Compiled kernels: sparse factors and products of many matrices of one pattern at once.

:mod:`pdeinv.kernels.cholesky` factors and solves, :mod:`pdeinv.kernels.lines` does along lines of
cells, :mod:`pdeinv.kernels.sparse` and :mod:`pdeinv.kernels.dense` multiply,
:mod:`pdeinv.kernels.tiles` says how arrays lie. Whoever uses them asks
:func:`pdeinv.kernels.build.available` first: they need a C compiler at run time.
"""
