"""Meshes as they come from elsewhere, sound and not: by Gmsh, or written line by line."""

from contextlib import contextmanager
from functools import partial

import gmsh

from pdeinv.fem.gmsh import session

WEST, EAST, WALLS = "west", "east", "walls"


@contextmanager
def model(path, version=4.1, binary=False, dim=2, order=1):
    """Gmsh's kernel for shapes; what is drawn in the block is meshed and written."""
    with session():
        yield gmsh.model.occ
        number = gmsh.option.setNumber
        gmsh.model.mesh.generate(dim)
        gmsh.model.mesh.setOrder(order)
        number("Mesh.MshFileVersion", version)
        number("Mesh.Binary", float(binary))
        gmsh.write(str(path))
        number("Mesh.Binary", 0)
        number("Mesh.MshFileVersion", 4.1)


def curves(axis, value, scale=1.0):
    """The straight curves on which a coordinate has one value."""
    near, found = 1e-6 * scale, []
    for d, tag in gmsh.model.getEntities(1):
        box = gmsh.model.getBoundingBox(d, tag)
        if abs(box[axis] - value) < near and abs(box[axis + 3] - value) < near:
            found.append(tag)
    return found


def group(dim, tags, name, number=-1):
    gmsh.model.addPhysicalGroup(dim, tags, number, name)


def name_sides(width=1.0, height=1.0, origin=(0.0, 0.0)):
    """All surfaces, and the four sides of the rectangle around them."""
    x, y = origin
    group(2, [t for _, t in gmsh.model.getEntities(2)], "rock")
    group(1, curves(0, x, width), WEST)
    group(1, curves(0, x + width, width), EAST)
    group(1, curves(1, y, width) + curves(1, y + height, width), WALLS)


def size(value):
    gmsh.model.mesh.setSize(gmsh.model.getEntities(0), value)


def rectangle(path, width=1.0, height=1.0, origin=(0.0, 0.0), quads=False, **more):
    with model(path, **more) as occ:
        surface = occ.addRectangle(*origin, 0, width, height)
        occ.synchronize()
        name_sides(width, height, origin)
        size(0.2 * width)
        if quads:
            for _, curve in gmsh.model.getEntities(1):
                gmsh.model.mesh.setTransfiniteCurve(curve, 6)
            gmsh.model.mesh.setTransfiniteSurface(surface)
            gmsh.model.mesh.setRecombine(2, surface)


def halves(path, joined=True, river=(), zone=False, **more):
    """Two halves that meet at x = 0.5; ``river`` names curves besides, by their x."""
    with model(path, **more) as occ:
        a, b = occ.addRectangle(0, 0, 0, 0.5, 1), occ.addRectangle(0.5, 0, 0, 0.5, 1)
        if joined:
            occ.fragment([(2, a)], [(2, b)])
        occ.synchronize()
        name_sides()
        if zone:
            group(2, [gmsh.model.getEntities(2)[0][1]], "zone")
        if river:
            group(1, [c for x in river for c in curves(0, x)], "river")
        size(0.2)


def with_hole(path, radius=0.2, corners=None, **more):
    """A square with a round hole in the middle."""
    with model(path, **more) as occ:
        plate, hole = occ.addRectangle(0, 0, 0, 1, 1), occ.addDisk(0.5, 0.5, 0, radius, radius)
        occ.cut([(2, plate)], [(2, hole)])
        occ.synchronize()
        name_sides()
        straight = {t for a in (0, 1) for v in (0, 1) for t in curves(a, v)}
        group(1, [t for _, t in gmsh.model.getEntities(1) if t not in straight], "well")
        size(0.1)


def ring(path, **more):
    """The ring between radii 1 and 2."""
    with model(path, **more) as occ:
        occ.cut([(2, occ.addDisk(0, 0, 0, 2, 2))], [(2, occ.addDisk(0, 0, 0, 1, 1))])
        occ.synchronize()
        group(2, [t for _, t in gmsh.model.getEntities(2)], "rock")
        for d, tag in gmsh.model.getEntities(1):
            outer = gmsh.model.getBoundingBox(d, tag)[3] > 1.5
            group(1, [tag], "outer" if outer else "inner")
        size(0.15)


def slit(path, width=1e-3):
    """A square with a thin gap along part of x = 0.5."""
    with model(path) as occ:
        plate = occ.addRectangle(0, 0, 0, 1, 1)
        occ.cut([(2, plate)], [(2, occ.addRectangle(0.5 - width / 2, 0.3, 0, width, 0.4))])
        occ.synchronize()
        name_sides()
        size(0.1)
        outer = {t for a in (0, 1) for v in (0, 1) for t in curves(a, v)}
        group(1, [t for _, t in gmsh.model.getEntities(1) if t not in outer], "gap")


def crack(path):
    """Gmsh's own crack: nodes doubled along a curve."""
    with session():
        occ = gmsh.model.occ
        plate = occ.addRectangle(0, 0, 0, 1, 1)
        line = occ.addLine(occ.addPoint(0.5, 0.3, 0), occ.addPoint(0.5, 0.7, 0))
        occ.fragment([(2, plate)], [(1, line)])
        occ.synchronize()
        name_sides()
        inner = [t for t in curves(0, 0.5) if gmsh.model.getBoundingBox(1, t)[1] > 0.2]
        group(1, inner, "crack", 77)
        size(0.2)
        gmsh.model.mesh.generate(2)
        gmsh.plugin.setNumber("Crack", "Dimension", 1)
        gmsh.plugin.setNumber("Crack", "PhysicalGroup", 77)
        gmsh.plugin.run("Crack")
        gmsh.write(str(path))


def islands(path):
    """Two squares apart."""
    with model(path) as occ:
        occ.addRectangle(0, 0, 0, 0.4, 1)
        occ.addRectangle(0.6, 0, 0, 0.4, 1)
        occ.synchronize()
        name_sides()
        group(1, curves(0, 0.4) + curves(0, 0.6), "banks")
        size(0.2)


def box(path, joined=True, river=False, **more):
    """A box of two halves with electrodes on its ends along x; ``river``: one lies inside."""
    with model(path, **{"dim": 3, **more}) as occ:
        a, b = occ.addBox(0, 0, 0, 0.5, 1, 1), occ.addBox(0.5, 0, 0, 0.5, 1, 1)
        if joined:
            occ.fragment([(3, a)], [(3, b)])
        occ.synchronize()
        group(3, [t for _, t in gmsh.model.getEntities(3)], "body")

        def at(x):
            boxes = {t: gmsh.model.getBoundingBox(2, t) for _, t in gmsh.model.getEntities(2)}
            return [t for t, b in boxes.items() if abs(b[0] - x) < 1e-6 and abs(b[3] - x) < 1e-6]

        group(2, at(0.0), "electrode1")
        group(2, at(0.5 if river else 1.0), "electrode2")
        size(0.5)


def written(path, points, cells, lines=(), numbers=None, names=(WEST, EAST, WALLS)):
    """A file of MSH 2.2 line by line.

    ``lines`` are (group from 1, node, node), nodes counted from 0; a cell may have any kind of
    corners, and stands in the group behind those of the lines.
    """
    numbers = range(1, len(points) + 1) if numbers is None else numbers
    numbers = list(numbers)
    text = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat", "$PhysicalNames", str(len(names) + 1)]
    text += [f'1 {k} "{name}"' for k, name in enumerate(names, 1)]
    text += [f'2 {len(names) + 1} "rock"', "$EndPhysicalNames", "$Nodes", str(len(points))]
    for number, place in zip(numbers, points, strict=True):
        text.append(" ".join(map(str, (number, *place, *[0.0] * (3 - len(place))))))
    text += ["$EndNodes", "$Elements", str(len(lines) + len(cells))]
    rows = [f"1 2 {g} {g} {numbers[a]} {numbers[b]}" for g, a, b in lines]
    for cell in cells:
        kind = {3: 2, 4: 3}[len(cell)]
        rows.append(f"{kind} 2 {len(names) + 1} 9 " + " ".join(str(numbers[c]) for c in cell))
    text += [f"{k} {row}" for k, row in enumerate(rows, 1)]
    path.write_text("\n".join([*text, "$EndElements", ""]))


SQUARE = [(0, 0), (0.5, 0), (1, 0), (0, 1), (0.5, 1), (1, 1)]
TRIANGLES = [(0, 1, 4), (0, 4, 3), (1, 2, 5), (1, 5, 4)]
LINES = [(1, 0, 3), (2, 2, 5), (3, 0, 1), (3, 1, 2), (3, 3, 4), (3, 4, 5)]

square = partial(written, points=SQUARE, cells=TRIANGLES, lines=LINES)
"""The unit square of four triangles."""
