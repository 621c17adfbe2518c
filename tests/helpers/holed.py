"""A plate with a round hole and a notch in a corner, and a disc, meshed by Gmsh."""

from math import pi

from pdeinv.fem.gmsh import session

CENTRE, RADIUS, NOTCH = (0.35, 0.6), 0.15, (0.6, 0.45)
AREA = 1 - pi * RADIUS**2 - (1 - NOTCH[0]) * NOTCH[1]


def plate(path, size=0.1, hole=True):
    """The unit square without the disc and without [0.6, 1] x [0, 0.45]."""
    with session() as gmsh:
        occ = gmsh.model.occ
        square = occ.addRectangle(0, 0, 0, 1, 1)
        cut = [(2, occ.addRectangle(NOTCH[0], 0, 0, 1 - NOTCH[0], NOTCH[1]))]
        cut += [(2, occ.addDisk(*CENTRE, 0, RADIUS, RADIUS))] if hole else []
        body, _ = occ.cut([(2, square)], cut)
        return _written(gmsh, path, body, size)


def disc(path, size):
    """The unit disc around the origin."""
    with session() as gmsh:
        return _written(gmsh, path, [(2, gmsh.model.occ.addDisk(0, 0, 0, 1, 1))], size)


def _written(gmsh, path, body, size):
    gmsh.model.occ.synchronize()
    gmsh.model.addPhysicalGroup(2, [tag for _, tag in body], name="body")
    gmsh.option.setNumber("Mesh.MeshSizeMax", size)
    gmsh.model.mesh.generate(2)
    gmsh.write(str(path))
    return path


def within(x, y):
    """Whether points lie in the plate."""
    hole = (x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 < RADIUS**2
    return ~hole & ~((x > NOTCH[0]) & (y < NOTCH[1]))
