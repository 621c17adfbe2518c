/* Orders of elimination by nested dissection, and what a sparse Cholesky factor will look like.
 *
 * Whole numbers and comparisons alone: what comes out depends on the pattern and on nothing else.
 * A pattern is symmetric CSR without its diagonal, rows ascending.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define NONE (-1)

/* The k-th smallest of some numbers, which are moved: smaller ones before it, larger ones behind. */
static double kth(double *x, int64_t n, int64_t k) {
    int64_t low = 0, high = n - 1;
    while (low < high) {
        double by = x[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] < by) i++;
            while (x[j] > by) j--;
            if (i > j) break;
            double held = x[i];
            x[i++] = x[j], x[j--] = held;
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return x[k];
}

/* The place of the cut: the median, or the least number above the smallest where that is larger. */
static double middle(const double *along, int64_t n, double *room) {
    memcpy(room, along, (size_t)n * sizeof(double));
    double half = kth(room, n, n / 2), before = room[0], least = room[0], next = INFINITY;
    for (int64_t i = 0; i < n / 2; i++) before = room[i] > before ? room[i] : before;
    if (n % 2 == 0) half = (before + half) / 2;
    for (int64_t i = 0; i < n; i++) least = room[i] < least ? room[i] : least;
    for (int64_t i = 0; i < n; i++) next = room[i] > least && room[i] < next ? room[i] : next;
    return next < INFINITY && next > half ? next : half;
}

typedef struct {
    int64_t n, dim;
    const int64_t *start;
    const int32_t *index;
    const double *points; /* (n, dim), or null */
    int8_t *side;         /* (n) 1 low, 2 high, 3 where a search may go, 0 elsewhere */
    double *along, *room; /* (n) */
    int64_t *steps;       /* (n) distance of a node from the first one of a search, or NONE */
    int64_t *queue;       /* (n) */
} cut;

/* Coordinates along the longest side; of sides that are equally long the first one. */
static void longest(const cut *c, const int64_t *part, int64_t size) {
    int64_t best = 0;
    double most = -1;
    for (int64_t d = 0; d < c->dim; d++) {
        double low = c->points[part[0] * c->dim + d], high = low;
        for (int64_t i = 1; i < size; i++) {
            double x = c->points[part[i] * c->dim + d];
            low = x < low ? x : low, high = x > high ? x : high;
        }
        if (high - low > most) most = high - low, best = d;
    }
    for (int64_t i = 0; i < size; i++) c->along[i] = c->points[part[i] * c->dim + best];
}

/* Numbers the nodes that are reached from one by their distance, within side 3; returns how many. */
static int64_t spread(const cut *c, int64_t from) {
    int64_t first = 0, end = 1;
    c->queue[0] = from, c->steps[from] = 0;
    while (first < end) {
        int64_t i = c->queue[first++];
        for (int64_t k = c->start[i]; k < c->start[i + 1]; k++) {
            int64_t j = c->index[k];
            if (c->side[j] != 3 || c->steps[j] != NONE) continue;
            c->steps[j] = c->steps[i] + 1;
            c->queue[end++] = j;
        }
    }
    return end;
}

static void forget(const cut *c, const int64_t *part, int64_t size) {
    for (int64_t i = 0; i < size; i++) c->steps[part[i]] = NONE;
}

/* Distance in the graph from a node that is far from all others; pieces are numbered instead. */
static void distance(const cut *c, const int64_t *part, int64_t size) {
    for (int64_t i = 0; i < size; i++) c->side[part[i]] = 3;
    forget(c, part, size);
    int64_t far = part[0], pieces = 0;
    if (spread(c, far) < size) {
        forget(c, part, size);
        for (int64_t i = 0; i < size; i++)
            if (c->steps[part[i]] == NONE) {
                int64_t reached = spread(c, part[i]);
                for (int64_t k = 0; k < reached; k++) c->room[c->queue[k]] = (double)pieces;
                pieces++;
            }
        for (int64_t i = 0; i < size; i++) c->along[i] = c->room[part[i]];
    } else {
        for (int turn = 0; turn < 3; turn++) {
            forget(c, part, size);
            spread(c, far);
            for (int64_t i = 0; i < size; i++) c->along[i] = c->steps[part[i]];
            int64_t most = 0;
            for (int64_t i = 1; i < size; i++)
                if (c->along[i] > c->along[most]) most = i;
            far = part[most];
        }
    }
    for (int64_t i = 0; i < size; i++) c->side[part[i]] = 0;
}

static int touches(const cut *c, int64_t node) {
    for (int64_t k = c->start[node]; k < c->start[node + 1]; k++)
        if (c->side[c->index[k]] == 1) return 1;
    return 0;
}

/* Puts low nodes first, then high ones, then those that part them, and gives the numbers of the first
 * two; 0 where the part stays whole. */
static int divided(const cut *c, int64_t *part, int64_t size, int64_t leaf, int64_t sizes[2]) {
    int64_t *room = c->queue;
    if (size <= leaf) return 0;
    if (c->points)
        longest(c, part, size);
    else
        distance(c, part, size);
    double at = middle(c->along, size, c->room);
    int64_t low = 0, high = 0, between = 0;
    for (int64_t i = 0; i < size; i++) low += c->along[i] < at;
    if (low == 0 || low == size) return 0;
    for (int64_t i = 0; i < size; i++) c->side[part[i]] = c->along[i] < at ? 1 : 2;
    for (int64_t i = 0; i < size; i++)
        if (c->along[i] >= at && touches(c, part[i])) room[size - ++between] = part[i];
    for (int64_t k = 0; k < between; k++) c->side[room[size - 1 - k]] = 0;
    sizes[0] = low, sizes[1] = size - low - between;
    low = 0, high = sizes[0];
    for (int64_t i = 0; i < size; i++) {
        int8_t side = c->side[part[i]];
        if (side == 1) room[low++] = part[i];
        if (side == 2) room[high++] = part[i];
        c->side[part[i]] = 0;
    }
    for (int64_t k = 0; k < between; k++) part[size - 1 - k] = room[high + k];
    memcpy(part, room, (size_t)high * sizeof(int64_t));
    return 1;
}

/* The order: both halves of a part and then what parts them, and so for each half.
 *
 * order (n) is written; numbers (2 n) and nodes (4 n) are room, side (n) begins as zeros. */
void dissection(int64_t n, int64_t dim, const int64_t *start, const int32_t *index, const double *points,
                int64_t leaf, int64_t *order, double *numbers, int64_t *nodes, int8_t *side) {
    cut c = {n, dim, start, index, points, side, numbers, numbers + n, nodes, nodes + n};
    /* parts that wait are apart from each other, so that there are at most n / 2 of more than a node */
    int64_t *waiting = nodes + 2 * n, count = 0;
    for (int64_t i = 0; i < n; i++) order[i] = i;
    if (n > 1) waiting[0] = 0, waiting[1] = n, count = 1;
    while (count) {
        count--;
        int64_t begin = waiting[2 * count], size = waiting[2 * count + 1], sizes[2];
        if (!divided(&c, order + begin, size, leaf, sizes)) continue;
        for (int h = 0; h < 2; h++) {
            int64_t first = begin + (h ? sizes[0] : 0);
            if (sizes[h] < 2) continue;
            waiting[2 * count] = first, waiting[2 * count + 1] = sizes[h];
            count++;
        }
    }
}

/* Elimination trees: T. A. Davis, Direct Methods for Sparse Linear Systems, SIAM 2006, chapters 4 and 6. */

/* The parent of each column in the order, NONE for roots; back (n) is where each node comes. */
static void tree(int64_t n, const int64_t *start, const int32_t *index, const int64_t *order,
                 const int64_t *back, int64_t *parent, int64_t *ancestor) {
    for (int64_t i = 0; i < n; i++) {
        parent[i] = ancestor[i] = NONE;
        for (int64_t k = start[order[i]]; k < start[order[i] + 1]; k++)
            for (int64_t j = back[index[k]], above; j != NONE && j < i; j = above) {
                above = ancestor[j];
                ancestor[j] = i;
                if (above == NONE) parent[j] = i;
            }
    }
}

/* Children before parents, the first child first, subtrees without gaps. */
static void postorder(int64_t n, const int64_t *parent, int64_t *post, int64_t *child, int64_t *next,
                      int64_t *stack) {
    int64_t done = 0, roots = NONE;
    for (int64_t j = 0; j < n; j++) child[j] = NONE;
    for (int64_t j = n - 1; j >= 0; j--) {
        int64_t *list = parent[j] == NONE ? &roots : child + parent[j];
        next[j] = *list, *list = j;
    }
    for (int64_t root = roots; root != NONE; root = next[root]) {
        int64_t count = 1;
        stack[0] = root;
        while (count) {
            int64_t j = stack[count - 1], c = child[j];
            if (c == NONE)
                post[done++] = j, count--;
            else
                child[j] = next[c], stack[count++] = c;
        }
    }
}

/* Each row of the factor: the columns below i in its row are those on the ways from its neighbours to i.
 * Adds to `count` of each, or, where `at` is given, writes i to the rows of those that have a place. */
static void rows_of_factor(int64_t n, const int64_t *start, const int32_t *index, const int64_t *order,
                           const int64_t *back, const int64_t *parent, int64_t *mark, int64_t *count,
                           int64_t *at, int64_t *rows) {
    for (int64_t i = 0; i < n; i++) {
        mark[i] = i;
        for (int64_t k = start[order[i]]; k < start[order[i] + 1]; k++) {
            int64_t j = back[index[k]];
            if (j > i) continue;
            for (; mark[j] != i; j = parent[j]) {
                mark[j] = i;
                if (!at)
                    count[j]++;
                else if (at[j] != NONE)
                    rows[at[j]++] = i;
            }
        }
    }
}

static void inverse(int64_t n, const int64_t *order, int64_t *back) {
    for (int64_t i = 0; i < n; i++) back[order[i]] = i;
}

typedef struct {
    int64_t first, end, entries; /* columns, and entries that are no padding */
} group;

static int64_t block(int64_t width, int64_t below) { return width * (width + 1) / 2 + width * below; }

/* Whether a group and the next become one: the next is its parent, and few zeros come in. */
static int joins(group child, group next, const int64_t *parent, const int64_t *count, int64_t small,
                 double fill) {
    int64_t above = parent[child.end - 1];
    if (above < next.first || above >= next.end) return 0;
    int64_t whole = block(next.end - child.first, count[next.end - 1]);
    int64_t zeros = whole - child.entries - next.entries;
    int64_t width = child.end - child.first, other = next.end - next.first;
    int narrow = (width < other ? width : other) <= small;
    return (double)zeros <= (narrow ? fill : fill / 4) * (double)whole;
}

/* Columns of the factor in groups: runs of columns of which each but the last has the next one's rows
 * besides, each joined to the run that follows where that is its parent and costs little.
 *
 * order (n) becomes a postorder of the tree; parent and count (n) are of its columns, starts (n + 1) the
 * first columns of the groups, whose number is returned. nodes (6 n) is room. */
int64_t supernodes(int64_t n, const int64_t *start, const int32_t *index, int64_t *order, int64_t *parent,
                   int64_t *count, int64_t *starts, int64_t small, double fill, int64_t *nodes) {
    int64_t *back = nodes, *post = nodes + n, *other = nodes + 2 * n;
    inverse(n, order, back);
    tree(n, start, index, order, back, parent, other);
    postorder(n, parent, post, other, other + n, other + 2 * n);
    for (int64_t i = 0; i < n; i++) other[i] = order[post[i]];
    memcpy(order, other, (size_t)n * sizeof(int64_t));
    inverse(n, order, back);
    tree(n, start, index, order, back, parent, other);
    for (int64_t i = 0; i < n; i++) other[i] = NONE, count[i] = 0;
    rows_of_factor(n, start, index, order, back, parent, other, count, 0, 0);
    group *done = (group *)(nodes + 3 * n);
    int64_t groups = 0, first = 0;
    for (int64_t j = 1; j <= n; j++) {
        if (j < n && parent[j - 1] == j && count[j - 1] == count[j] + 1) continue;
        group g = {first, j, block(j - first, count[j - 1])};
        for (; groups && joins(done[groups - 1], g, parent, count, small, fill); groups--) {
            g.first = done[groups - 1].first;
            g.entries += done[groups - 1].entries;
        }
        done[groups++] = g;
        first = j;
    }
    for (int64_t s = 0; s < groups; s++) starts[s] = done[s].first;
    starts[groups] = n;
    return groups;
}

/* The rows below the columns that have a place: at (n) is where they begin, or NONE. nodes (2 n) is room. */
void group_rows(int64_t n, const int64_t *start, const int32_t *index, const int64_t *order,
                const int64_t *parent, int64_t *at, int64_t *rows, int64_t *nodes) {
    inverse(n, order, nodes);
    for (int64_t i = 0; i < n; i++) nodes[n + i] = NONE;
    rows_of_factor(n, start, index, order, nodes, parent, nodes + n, 0, at, rows);
}
