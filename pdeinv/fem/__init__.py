"""The FEniCSx layer: meshes, spaces, sparse operators and solvers that every problem shares.

Modules here import without dolfinx; the functions that need it fetch it from
:func:`pdeinv.fem.env.fenicsx`.
"""
