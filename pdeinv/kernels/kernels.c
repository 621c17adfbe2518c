/* Sparse Cholesky factors, sparse and dense products of many matrices with one pattern, tridiagonal
 * systems, and steps of waves.
 *
 * A tile holds WIDTH matrices, its lanes; the lane is the innermost index of every array, so that one
 * vector instruction works on all of them. The file includes itself once per width and number type.
 *
 * Four rows of a factor lie together, a quad: [part][row][lane], part being real and imaginary where
 * numbers are complex. Width 1 makes its vectors of the four rows instead of the lanes. The text of
 * the arithmetic is the same, so every lane gets the same operations in the same order: its bits
 * depend neither on its neighbours nor on the width.
 *
 * The factorisation is right-looking on supernodes: a group of columns is factored in place, and its
 * products are subtracted at once from the columns of its ancestors, which are still in the cache.
 */
#ifndef WIDTH

#ifdef __clang__ /* within a statement only, so that every width is fused alike */
#pragma STDC FP_CONTRACT ON
#endif

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Offsets count entries (a real or complex number of every lane); an entry e is row e % 4 of quad e / 4. */
typedef struct {
    int64_t n;                /* rows of the matrix */
    int64_t groups;           /* supernodes */
    const int32_t *starts;    /* (groups + 1) first columns */
    const int64_t *below;     /* (groups + 1) into rows, column and relative */
    const int32_t *rows;      /* rows under each group's own columns */
    const int64_t *diagonal;  /* (groups) offsets of the square blocks */
    const int64_t *rest;      /* (groups) offsets of what lies below them */
    const int64_t *relative;  /* by row under a group: where its targets begin, see targets */
    const int32_t *column;    /* by row under a group: its place inside its target, four times */
    const int32_t *targets;   /* offsets of target rows, from the row itself onwards */
    const int32_t *fresh;     /* groups in the order of their first use */
    const int32_t *fresh_at;  /* (groups + 1) into fresh: groups first used at each group */
    const int32_t *given_at;  /* (groups + 1) into source and place */
    const int32_t *source;    /* entries of the given values */
    const int32_t *place;     /* where they go */
    const int32_t *pivot;     /* (n) entry of the given values on the diagonal, or -1 */
    const int32_t *order;     /* (n) node of each column */
    int64_t quads;            /* of the whole factor */
    int64_t tallest;          /* most quads under one group */
    int64_t indefinite;       /* whether complex pivots may point anywhere */
} plan;

#define INLINE static inline __attribute__((always_inline))
#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)

/* Four rows of eight lanes stay in the registers of AVX-512 alone. */
#ifndef LANES
#ifdef __AVX512F__
#define LANES 8
#else
#define LANES 4
#endif
#endif

#define WIDTH 1
#define PARTS 1
#define NAME(x) GLUE(x, _real_1)
#include "kernels.c"
#undef NAME
#undef PARTS
#define PARTS 2
#define NAME(x) GLUE(x, _complex_1)
#include "kernels.c"
#undef NAME
#undef PARTS
#undef WIDTH

#define WIDTH LANES
#define PARTS 1
#define NAME(x) GLUE(x, _real_n)
#include "kernels.c"
#undef NAME
#undef PARTS
#define PARTS 2
#define NAME(x) GLUE(x, _complex_n)
#include "kernels.c"

int64_t lanes(void) { return LANES; }

/* tile[e][l] = rows[l][e]; lanes without a row of their own get the first one's. */
void tile_rows(const double *rows, int64_t count, int64_t entries, double *tile) {
    const double *from[LANES];
    for (int l = 0; l < LANES; l++) from[l] = rows + (l < count ? l : 0) * entries;
    for (int64_t e = 0; e < entries; e++)
        for (int l = 0; l < LANES; l++) tile[e * LANES + l] = from[l][e];
}

/* rows[l][e] = tile[e][l] for the first `count` lanes. */
void untile_rows(const double *tile, int64_t count, int64_t entries, double *rows) {
    for (int64_t begin = 0; begin < entries; begin += 64) {
        int64_t end = begin + 64 < entries ? begin + 64 : entries;
        for (int64_t l = 0; l < count; l++)
            for (int64_t e = begin; e < end; e++) rows[l * entries + e] = tile[e * LANES + l];
    }
}

typedef double wide __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef double eight __attribute__((vector_size(64), aligned(8), may_alias));

/* Y = A X, A in CSR; X and Y have `columns` numbers in a row. */
INLINE void csr_chunk(int64_t rows, const int64_t *start, const int32_t *index, const double *a,
                      const double *x, double *y, int64_t columns, int vectors) {
    for (int64_t i = 0; i < rows; i++) {
        wide sum[4];
        for (int v = 0; v < vectors; v++) sum[v] = (wide){0};
        for (int64_t k = start[i]; k < start[i + 1]; k++)
            for (int v = 0; v < vectors; v++)
                sum[v] += a[k] * *(const wide *)(x + index[k] * columns + v * LANES);
        for (int v = 0; v < vectors; v++) *(wide *)(y + i * columns + v * LANES) = sum[v];
    }
}

/* The last columns, fewer than a vector: one pass over the matrix for all of them. */
INLINE void csr_rest(int64_t rows, const int64_t *start, const int32_t *index, const double *a,
                     const double *x, double *y, int64_t columns, int rest) {
    for (int64_t i = 0; i < rows; i++) {
        double sum[8];
        for (int r = 0; r < rest; r++) sum[r] = 0;
        for (int64_t k = start[i]; k < start[i + 1]; k++)
            for (int r = 0; r < rest; r++) sum[r] += a[k] * x[index[k] * columns + r];
        for (int r = 0; r < rest; r++) y[i * columns + r] = sum[r];
    }
}

void csr_times(int64_t rows, const int64_t *start, const int32_t *index, const double *a,
               const double *x, double *y, int64_t columns) {
    int64_t c = 0;
    for (; c + 4 * LANES <= columns; c += 4 * LANES)
        csr_chunk(rows, start, index, a, x + c, y + c, columns, 4);
    for (; c + LANES <= columns; c += LANES)
        csr_chunk(rows, start, index, a, x + c, y + c, columns, 1);
    x += c, y += c;
    switch (columns - c) {
    case 1: csr_rest(rows, start, index, a, x, y, columns, 1); break;
    case 2: csr_rest(rows, start, index, a, x, y, columns, 2); break;
    case 3: csr_rest(rows, start, index, a, x, y, columns, 3); break;
    case 4: csr_rest(rows, start, index, a, x, y, columns, 4); break;
    case 5: csr_rest(rows, start, index, a, x, y, columns, 5); break;
    case 6: csr_rest(rows, start, index, a, x, y, columns, 6); break;
    case 7: csr_rest(rows, start, index, a, x, y, columns, 7); break;
    }
}

/* Y = A X for A of `height` rows, which lie in groups of 8: a[group][k][row]. */
void dense_times(int64_t height, int64_t width, const double *a, const double *x, double *y,
                 int64_t columns) {
    for (int64_t i = 0; i < height; i += 8, a += 8 * width) {
        int64_t many = height - i < 8 ? height - i : 8, c = 0;
        for (; c + LANES <= columns; c += LANES) {
            wide sum[8];
            for (int r = 0; r < 8; r++) sum[r] = (wide){0};
            for (int64_t k = 0; k < width; k++) {
                wide one = *(const wide *)(x + k * columns + c);
                for (int r = 0; r < 8; r++) sum[r] += a[k * 8 + r] * one;
            }
            for (int r = 0; r < many; r++) *(wide *)(y + (i + r) * columns + c) = sum[r];
        }
        for (; c < columns; c++) {
            eight sum = {0};
            for (int64_t k = 0; k < width; k++) sum += *(const eight *)(a + k * 8) * x[k * columns + c];
            for (int r = 0; r < many; r++) y[(i + r) * columns + c] = sum[r];
        }
    }
}

/* Waves by leapfrog: u+ = A u - b u-, one column per shot, and what goes in and out at few places.
 *
 * Series s of what is given goes to the numbers place[k] of a state with weight[k], k = at[s] ... at[s + 1] - 1;
 * series that are taken are sums over such places. */
typedef struct {
    int64_t series;
    const int64_t *at;
    const int64_t *place;
    const double *weight;
} taps;

typedef struct {
    int64_t n;       /* rows of a state */
    int64_t columns; /* numbers in a row */
    const int64_t *start;
    const int32_t *index;
    const double *a; /* A in CSR */
    const double *b; /* (n) */
    taps given, taken;
} wave;

/* When: row[j] of the values is what goes with step j, none where it is negative. */
typedef struct {
    const int64_t *row;
    double *values;
} series;

INLINE void wave_chunk(const wave *w, const double *past, const double *now, double *next, int many) {
    for (int64_t i = 0, s = w->columns; i < w->n; i++) {
        double sum[8];
        for (int c = 0; c < many; c++) sum[c] = -w->b[i] * past[i * s + c];
        for (int64_t k = w->start[i]; k < w->start[i + 1]; k++) {
            double v = w->a[k];
            const double *x = now + w->index[k] * s;
            for (int c = 0; c < many; c++) sum[c] += v * x[c];
        }
        for (int c = 0; c < many; c++) next[i * s + c] = sum[c];
    }
}

static void wave_eight(const wave *w, const double *past, const double *now, double *next) {
    for (int64_t i = 0, s = w->columns; i < w->n; i++) {
        eight sum = -w->b[i] * *(const eight *)(past + i * s);
        for (int64_t k = w->start[i]; k < w->start[i + 1]; k++)
            sum += w->a[k] * *(const eight *)(now + w->index[k] * s);
        *(eight *)(next + i * s) = sum;
    }
}

/* One step without what is given; next may be past. */
static void wave_step(const wave *w, const double *past, const double *now, double *next) {
    int64_t c = 0;
    for (; c + 8 <= w->columns; c += 8) wave_eight(w, past + c, now + c, next + c);
    past += c, now += c, next += c;
    switch (w->columns - c) {
    case 1: wave_chunk(w, past, now, next, 1); break;
    case 2: wave_chunk(w, past, now, next, 2); break;
    case 3: wave_chunk(w, past, now, next, 3); break;
    case 4: wave_chunk(w, past, now, next, 4); break;
    case 5: wave_chunk(w, past, now, next, 5); break;
    case 6: wave_chunk(w, past, now, next, 6); break;
    case 7: wave_chunk(w, past, now, next, 7); break;
    }
}

static void wave_give(const taps *t, const series *given, int64_t step, double *state) {
    if (given->row[step] < 0) return;
    const double *value = given->values + given->row[step] * t->series;
    for (int64_t s = 0; s < t->series; s++)
        for (int64_t k = t->at[s]; k < t->at[s + 1]; k++) state[t->place[k]] += t->weight[k] * value[s];
}

static void wave_take(const taps *t, const series *taken, int64_t step, const double *state) {
    if (taken->row[step] < 0) return;
    double *value = taken->values + taken->row[step] * t->series;
    for (int64_t s = 0; s < t->series; s++) {
        double sum = 0;
        for (int64_t k = t->at[s]; k < t->at[s + 1]; k++) sum += t->weight[k] * state[t->place[k]];
        value[s] = sum;
    }
}

/* Steps of a run. State k of it stands at states[k % slots], the two that it begins with at `first`. */
void wave_march(const wave *w, int64_t steps, double *states, int64_t slots, int64_t first,
                const series *given, const series *taken) {
    int64_t size = w->n * w->columns;
    for (int64_t j = 0; j < steps; j++) {
        double *next = states + (first + j + 2) % slots * size;
        wave_step(w, states + (first + j) % slots * size, states + (first + j + 1) % slots * size, next);
        wave_give(&w->given, given, j, next);
        wave_take(&w->taken, taken, j, next);
    }
}

/* The run backwards, p its states, on two slots; with the states u of the run, steps + 2 of them, it adds up
 * da = -sum p (u+ - 2u + u-) and dc = -sum p (u+ - u-) over steps and columns. */
void wave_back(const wave *w, int64_t steps, double *p, int64_t first, const double *u, const series *given,
               const series *taken, double *da, double *dc) {
    int64_t n = w->n, s = w->columns, size = n * s;
    for (int64_t j = 0; j < steps; j++) {
        double *next = p + (first + j) % 2 * size;
        wave_step(w, next, p + (first + j + 1) % 2 * size, next);
        wave_give(&w->given, given, j, next);
        wave_take(&w->taken, taken, j, next);
        const double *before = u + (steps - 1 - j) * size, *now = before + size, *after = now + size;
        for (int64_t i = 0; i < n; i++) {
            double more = 0, most = 0;
            for (int64_t c = i * s; c < (i + 1) * s; c++) {
                more += next[c] * (after[c] + before[c] - 2 * now[c]);
                most += next[c] * (after[c] - before[c]);
            }
            da[i] -= more, dc[i] -= most;
        }
    }
}

/* The change d of the run (two slots) beside the run itself (three): what is given to d is besides
 * -k (da (u+ - 2u + u-) + dc (u+ - u-)), k, da, dc (n). What is taken is of d. */
void wave_change(const wave *w, int64_t steps, double *u, double *d, const double *k, const double *da,
                 const double *dc, const series *given, const series *more, const series *taken) {
    int64_t n = w->n, s = w->columns, size = n * s;
    for (int64_t j = 0; j < steps; j++) {
        double *before = u + j % 3 * size, *now = u + (j + 1) % 3 * size, *after = u + (j + 2) % 3 * size;
        double *next = d + j % 2 * size;
        wave_step(w, before, now, after);
        wave_give(&w->given, given, j, after);
        wave_step(w, next, d + (j + 1) % 2 * size, next);
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = i * s; c < (i + 1) * s; c++)
                next[c] -= k[i] * (da[i] * (after[c] + before[c] - 2 * now[c]) + dc[i] * (after[c] - before[c]));
        wave_give(&w->given, more, j, next);
        wave_take(&w->taken, taken, j, next);
    }
}

/* x = A^-1 b for one factor of real numbers and LANES right-hand sides, b and x (n, lane), room as
 * large. Numbers of the factor meet vectors of the sides, so that no copy of it is made per lane. */

INLINE wide side(const double *x, int64_t row) { return *(const wide *)(x + row * LANES); }

INLINE int least(int64_t a, int b) { return a < b ? (int)a : b; }

/* y = L^-1 y for one group. */
static void forward_shared(const plan *p, int64_t s, const double *f, double *x) {
    int64_t w = p->starts[s + 1] - p->starts[s], m = p->below[s + 1] - p->below[s];
    const double *a = f + p->diagonal[s], *rest = f + p->rest[s];
    const int32_t *rows = p->rows + p->below[s];
    double *y = x + p->starts[s] * LANES;
    for (int64_t k = 0; k < w; k += 4) {
        int few = least(w - k, 4);
        wide left[4];
        for (int r = 0; r < 4; r++) left[r] = r < few ? side(y, k + r) : (wide){0};
        for (int64_t j = 0; j < k; j++, a += 4) {
            wide one = side(y, j);
            for (int r = 0; r < 4; r++) left[r] -= a[r] * one;
        }
        for (int j = 0; j < few; j++) {
            left[j] *= a[4 * j + j];
            for (int r = j + 1; r < few; r++) left[r] -= a[4 * j + r] * left[j];
            *(wide *)(y + (k + j) * LANES) = left[j];
        }
        a += 16;
    }
    for (int64_t i = 0; i < m; i += 4, rest += 4 * w) {
        wide sum[4] = {{0}, {0}, {0}, {0}};
        for (int64_t k = 0; k < w; k++) {
            wide one = side(y, k);
            for (int r = 0; r < 4; r++) sum[r] += rest[4 * k + r] * one;
        }
        for (int r = 0; r < least(m - i, 4); r++) *(wide *)(x + rows[i + r] * LANES) -= sum[r];
    }
}

/* What row i of the quads of four columns adds to their sums. */
INLINE void meet(wide *sum, const double *a, int i, wide one) {
    for (int c = 0; c < 4; c++) sum[c] += a[4 * c + i] * one;
}

/* y = L^-T y for one group. */
static void backward_shared(const plan *p, int64_t s, const double *f, double *x) {
    int64_t w = p->starts[s + 1] - p->starts[s], m = p->below[s + 1] - p->below[s];
    const double *square = f + p->diagonal[s], *rest = f + p->rest[s];
    const int32_t *rows = p->rows + p->below[s];
    double *y = x + p->starts[s] * LANES;
    for (int64_t k = (w - 1) / 4 * 4; k >= 0; k -= 4) {
        int few = least(w - k, 4);
        wide sum[4] = {{0}, {0}, {0}, {0}};
        for (int64_t h = k + 4; h < w; h += 4)
            for (int r = 0; r < least(w - h, 4); r++)
                meet(sum, square + (h * (h + 4) / 8 + k) * 4, r, side(y, h + r));
        for (int64_t i = 0; i < m; i++) {
            const double *a = rest + (i / 4 * w + k) * 4;
            wide one = side(x, rows[i]);
            if (few == 4)
                meet(sum, a, (int)(i & 3), one);
            else
                for (int c = 0; c < few; c++) sum[c] += a[4 * c + (i & 3)] * one;
        }
        const double *own = square + (k * (k + 4) / 8 + k) * 4;
        for (int j = few - 1; j >= 0; j--) {
            wide left = side(y, k + j) - sum[j];
            for (int i = j + 1; i < few; i++) left -= own[4 * j + i] * side(y, k + i);
            *(wide *)(y + (k + j) * LANES) = left * own[4 * j + j];
        }
    }
}

void solve_shared(const plan *p, const double *f, const double *b, double *x, double *room) {
    for (int64_t i = 0; i < p->n; i++)
        *(wide *)(room + i * LANES) = side(b, p->order[i]);
    for (int64_t s = 0; s < p->groups; s++) forward_shared(p, s, f, room);
    for (int64_t s = p->groups - 1; s >= 0; s--) backward_shared(p, s, f, room);
    for (int64_t i = 0; i < p->n; i++)
        *(wide *)(x + p->order[i] * LANES) = side(room, i);
}

#else

#undef PACK
#undef ROW
#undef COLUMNS
#define pack NAME(pack)
#define some NAME(some)
#define quad NAME(quad)

#if WIDTH == 1
typedef double some;
typedef double pack __attribute__((vector_size(32), aligned(8), may_alias));
#define PACK 4
#define ROW(q, part, r) ((q).p[part][0][r])
#else
typedef double some __attribute__((vector_size(8 * WIDTH), aligned(8), may_alias));
typedef some pack;
#define PACK WIDTH
#define ROW(q, part, r) ((q).p[part][r])
#endif
#define PACKS (4 * WIDTH / PACK)
#define ENTRY (PARTS * WIDTH)
#define QUAD (4 * ENTRY)

/* Columns that go over the rows together where rows do not fit the cache. */
#undef STRIP
#define STRIP 32

/* Columns that are worked on at a time: as many as registers hold. */
#if PARTS == 1 && defined(__AVX512F__)
#define COLUMNS 4
#else
#define COLUMNS 2
#endif

typedef struct {
    pack p[PARTS][PACKS];
} quad;

#define load NAME(load)
#define store NAME(store)
#define zero NAME(zero)
#define at NAME(at)
#define multiply_add NAME(multiply_add)
#define multiply_subtract NAME(multiply_subtract)
#define minus NAME(minus)
#define products NAME(products)
#define entry NAME(entry)

INLINE some at(const double *x) { return *(const some *)x; }

INLINE quad load(const double *x) {
    quad q;
    for (int c = 0; c < PARTS; c++)
        for (int i = 0; i < PACKS; i++) q.p[c][i] = *(const pack *)(x + (c * 4 * WIDTH) + i * PACK);
    return q;
}

INLINE void store(double *x, quad q) {
    for (int c = 0; c < PARTS; c++)
        for (int i = 0; i < PACKS; i++) *(pack *)(x + (c * 4 * WIDTH) + i * PACK) = q.p[c][i];
}

INLINE quad zero(void) {
    quad q;
    for (int c = 0; c < PARTS; c++)
        for (int i = 0; i < PACKS; i++) q.p[c][i] = (pack){0};
    return q;
}

/* Where the real part of row r of a quad lies, for an offset in entries; the other part is 4 * WIDTH on. */
INLINE double *entry(double *f, int64_t e) { return f + (e >> 2) * QUAD + (e & 3) * WIDTH; }

/* s + a b for the four rows a and one number b, whose parts lie `part` apart. */
INLINE quad multiply_add(quad s, quad a, const double *b, int64_t part) {
    some br = at(b);
    for (int i = 0; i < PACKS; i++) s.p[0][i] += a.p[0][i] * br;
#if PARTS == 2
    some bi = at(b + part);
    for (int i = 0; i < PACKS; i++) {
        s.p[0][i] -= a.p[1][i] * bi;
        s.p[1][i] += a.p[0][i] * bi;
        s.p[1][i] += a.p[1][i] * br;
    }
#else
    (void)part;
#endif
    return s;
}

INLINE quad multiply_subtract(quad s, quad a, const double *b, int64_t part) {
    some br = at(b);
    for (int i = 0; i < PACKS; i++) s.p[0][i] -= a.p[0][i] * br;
#if PARTS == 2
    some bi = at(b + part);
    for (int i = 0; i < PACKS; i++) {
        s.p[0][i] += a.p[1][i] * bi;
        s.p[1][i] -= a.p[0][i] * bi;
        s.p[1][i] -= a.p[1][i] * br;
    }
#else
    (void)part;
#endif
    return s;
}

INLINE quad minus(quad a, quad b) {
    for (int c = 0; c < PARTS; c++)
        for (int i = 0; i < PACKS; i++) a.p[c][i] -= b.p[c][i];
    return a;
}

/* sum[c] = sum over k of a[k] b[k][c]: quads a in a row; numbers b `step` apart in k and `next` in c. */
INLINE void products(quad *sum, const double *a, const double *b, int64_t count, int64_t step,
                     int64_t next, int64_t part, int columns) {
    for (int c = 0; c < columns; c++) sum[c] = zero();
    for (int64_t k = 0; k < count; k++, a += QUAD, b += step) {
        quad four = load(a);
        for (int c = 0; c < columns; c++) sum[c] = multiply_add(sum[c], four, b + c * next, part);
    }
}

#define inverse_root NAME(inverse_root)
/* 1 / sqrt(d) of one entry, in place; NaN and a mark where it is not positive enough, or too small. */
static void inverse_root(double *d, const double *given, int64_t *failed, int64_t column, int anywhere) {
    for (int l = 0; l < WIDTH; l++) {
        double re = d[l], least = given ? 4 * DBL_EPSILON * fabs(given[l]) : 0.0;
#if PARTS == 1
        (void)anywhere;
        int bad = !(re > least && re <= DBL_MAX);
        d[l] = bad ? NAN : 1.0 / sqrt(re);
#else
        double im = d[4 * WIDTH + l];
        double size = sqrt(re * re + im * im);
        /* the larger part first: nothing cancels */
        double large = sqrt(0.5 * (size + fabs(re))), small = 0.5 * im / large;
        double x = re < 0 ? fabs(small) : large, y = re < 0 ? copysign(large, im) : small;
        int bad = !((anywhere ? size : re) > least && size <= DBL_MAX);
        d[l] = bad ? NAN : x / size;
        d[4 * WIDTH + l] = bad ? NAN : -y / size;
#endif
        if (bad && !failed[l]) failed[l] = column + 1;
    }
}

#define eliminate NAME(eliminate)
/* x L^-T for the columns of one block, L at rows `first` of the quads at `own`. */
INLINE void eliminate(quad *x, const double *own, int first, int columns) {
    for (int j = 0; j < columns; j++) {
        const double *column = own + j * QUAD + first * WIDTH;
        x[j] = multiply_add(zero(), x[j], column + j * WIDTH, 4 * WIDTH);
        for (int l = j + 1; l < columns; l++)
            x[l] = multiply_subtract(x[l], x[j], column + l * WIDTH, 4 * WIDTH);
    }
}

#define lower NAME(lower)
/* One quad of rows below a block of columns, which begin at column k. */
INLINE void lower(double *x, const double *own, int first, int64_t k, int columns) {
    quad sum[COLUMNS];
    products(sum, x, own + first * WIDTH, k, QUAD, WIDTH, 4 * WIDTH, COLUMNS);
    for (int c = 0; c < columns; c++) sum[c] = minus(load(x + (k + c) * QUAD), sum[c]);
    eliminate(sum, own + k * QUAD, first, columns);
    for (int c = 0; c < columns; c++) store(x + (k + c) * QUAD, sum[c]);
}

#define corner NAME(corner)
/* The block on the diagonal itself, and the rows of its quad below it. */
INLINE void corner(double *own, int first, int64_t k, int columns, const double *given,
                   const int32_t *pivot, int64_t *failed, int64_t column, int anywhere) {
    quad sum[COLUMNS];
    products(sum, own, own + first * WIDTH, k, QUAD, WIDTH, 4 * WIDTH, COLUMNS);
    for (int c = 0; c < columns; c++) {
        quad left = minus(load(own + (k + c) * QUAD), sum[c]);
        for (int r = 0; r < first + c; r++)
            for (int part = 0; part < PARTS; part++) ROW(left, part, r) = (some){0};
        store(own + (k + c) * QUAD, left);
    }
    for (int j = 0; j < columns; j++) {
        double *x = own + (k + j) * QUAD;
        const double *mine = pivot[j] < 0 ? 0 : given + (int64_t)pivot[j] * ENTRY;
        double *d = x + (first + j) * WIDTH;
        inverse_root(d, mine, failed, column + j, anywhere);
        quad scaled = multiply_add(zero(), load(x), d, 4 * WIDTH);
        for (int r = first + j + 1; r < 4; r++)
            for (int c = 0; c < PARTS; c++)
                *(some *)(x + (c * 4 + r) * WIDTH) = ROW(scaled, c, r);
        for (int l = j + 1; l < columns; l++) {
            double *y = own + (k + l) * QUAD;
            quad left = multiply_subtract(load(y), load(x), x + (first + l) * WIDTH, 4 * WIDTH);
            for (int r = first + l; r < 4; r++)
                for (int c = 0; c < PARTS; c++)
                    *(some *)(y + (c * 4 + r) * WIDTH) = ROW(left, c, r);
        }
    }
}

#define square_quads NAME(square_quads)
/* Quads of the square block before its g-th four rows, which hold 4 g + 4 columns. */
INLINE int64_t square_quads(int64_t g) { return 2 * g * (g + 1); }

#define strip NAME(strip)
/* One quad of rows below the columns `from` to `to` of a group, four of which share a quad. */
INLINE void strip(double *x, const double *square, int64_t from, int64_t to) {
    for (int64_t k = from; k < to; k += COLUMNS) {
        const double *own = square + square_quads(k / 4) * QUAD;
        if (to - k >= COLUMNS)
            lower(x, own, (int)(k & 3), k, COLUMNS);
        else
            lower(x, own, (int)(k & 3), k, (int)(to - k));
    }
}

#define panel NAME(panel)
/* Factors the columns of one group, STRIP of them at a time so that rows stay in the cache. */
static void panel(const plan *p, int64_t s, double *f, const double *given, int64_t *failed) {
    int64_t w = p->starts[s + 1] - p->starts[s], high = (w + 3) / 4;
    int64_t m = p->below[s + 1] - p->below[s], fours = (m + 3) / 4;
    const int32_t *pivot = p->pivot + p->starts[s];
    double *square = f + p->diagonal[s] / 4 * QUAD, *rest = f + p->rest[s] / 4 * QUAD;
    for (int64_t from = 0; from < w; from += STRIP) {
        int64_t to = w - from < STRIP ? w : from + STRIP;
        for (int64_t h = from / 4; h < high; h++) {
            double *x = square + square_quads(h) * QUAD;
            strip(x, square, from, to < 4 * h ? to : 4 * h);
            for (int64_t k = 4 * h; k < to && k < 4 * h + 4; k += COLUMNS)
                corner(x, (int)(k & 3), k, (int)(w - k < COLUMNS ? w - k : COLUMNS), given,
                       pivot + k, failed, p->starts[s] + k, (int)p->indefinite);
        }
        for (int64_t h = 0; h < fours; h++) strip(rest + h * w * QUAD, square, from, to);
    }
}

#define subtract NAME(subtract)
/* target -= row r of a quad. */
INLINE void subtract(double *target, quad q, int r) {
    for (int c = 0; c < PARTS; c++) *(some *)(target + c * 4 * WIDTH) -= ROW(q, c, r);
}

#define outer NAME(outer)
/* Subtracts the products of rows 4 h to 4 h + 3 with rows 4 g + first and on from their targets. */
INLINE void outer(const int32_t *targets, const int64_t *relative, const int32_t *column, double *f,
                  const double *rest, int64_t w, int64_t m, int64_t h, int64_t g, int first) {
    quad sum[COLUMNS];
    products(sum, rest + h * w * QUAD, rest + g * w * QUAD + first * WIDTH, w, QUAD, WIDTH,
             4 * WIDTH, COLUMNS);
#pragma GCC unroll 4
    for (int c = 0; c < COLUMNS; c++) {
        int64_t j = 4 * g + first + c;
        if (j < m) {
            const int32_t *to = targets + relative[j];
            for (int r = 0; r < 4; r++)
                if (4 * h + r >= j && 4 * h + r < m)
                    subtract(entry(f, (int64_t)to[4 * h + r] + column[j]), sum[c], r);
        }
    }
}

#define update NAME(update)
/* Subtracts the products of a group's rows from the columns of its ancestors. */
static void update(const plan *p, int64_t s, double *f) {
    int64_t w = p->starts[s + 1] - p->starts[s];
    int64_t m = p->below[s + 1] - p->below[s], fours = (m + 3) / 4;
    const double *rest = f + p->rest[s] / 4 * QUAD;
    const int64_t *relative = p->relative + p->below[s];
    const int32_t *column = p->column + p->below[s];
    for (int64_t from = 0; from < fours; from += STRIP / 4)
        for (int64_t h = from; h < fours; h++)
            for (int64_t g = from; g <= h && g < from + STRIP / 4; g++)
                for (int first = 0; first < 4 && 4 * g + first < m; first += COLUMNS)
                    outer(p->targets, relative, column, f, rest, w, m, h, g, first);
}

#define begin NAME(begin)
/* Fills a group with the given values. */
static void begin(const plan *p, int64_t s, double *f, const double *given) {
    int64_t w = p->starts[s + 1] - p->starts[s];
    int64_t end = p->rest[s] / 4 + (p->below[s + 1] - p->below[s] + 3) / 4 * w;
    memset(f + p->diagonal[s] / 4 * QUAD, 0, (size_t)(end - p->diagonal[s] / 4) * QUAD * 8);
    for (int32_t a = p->given_at[s]; a < p->given_at[s + 1]; a++)
        for (int c = 0; c < PARTS; c++)
            *(some *)(entry(f, p->place[a]) + c * 4 * WIDTH) =
                at(given + (int64_t)p->source[a] * ENTRY + c * WIDTH);
}

#define fused NAME(fused)
/* s + a b; compilers fuse these in vectors, but not in all that they make of single numbers. */
INLINE some fused(some s, some a, some b) {
#if WIDTH == 1 && (defined(__FMA__) || defined(__ARM_FEATURE_FMA))
    return __builtin_fma(a, b, s);
#else
    return s + a * b;
#endif
}

#define value NAME(value)
#define value_at NAME(value_at)
#define put NAME(put)
#define scaled NAME(scaled)
#define less NAME(less)
/* One number of every lane. */
typedef struct {
    some p[PARTS];
} value;

INLINE value value_at(const double *x, int64_t part) {
    value a;
    for (int c = 0; c < PARTS; c++) a.p[c] = at(x + c * part);
    return a;
}

INLINE void put(double *x, value a) {
    for (int c = 0; c < PARTS; c++) *(some *)(x + c * WIDTH) = a.p[c];
}

/* a b */
INLINE value scaled(value a, value b) {
    value x;
#if PARTS == 1
    x.p[0] = a.p[0] * b.p[0];
#else
    /* from zero, so that compilers cannot choose which product they fuse */
    x.p[0] = fused(fused((some){0}, a.p[0], b.p[0]), -a.p[1], b.p[1]);
    x.p[1] = fused(fused((some){0}, a.p[0], b.p[1]), a.p[1], b.p[0]);
#endif
    return x;
}

/* s - a b */
INLINE value less(value s, value a, value b) {
    s.p[0] = fused(s.p[0], -a.p[0], b.p[0]);
#if PARTS == 2
    s.p[0] = fused(s.p[0], a.p[1], b.p[1]);
    s.p[1] = fused(s.p[1], -a.p[0], b.p[1]);
    s.p[1] = fused(s.p[1], -a.p[1], b.p[0]);
#endif
    return s;
}

#define gather NAME(gather)
/* Four numbers of a vector whose rows lie `apart`, at most `count` of them, else zero. */
INLINE quad gather(const double *x, int64_t apart, int64_t count) {
    quad q = zero();
    for (int r = 0; r < 4; r++)
        if (r < count)
            for (int c = 0; c < PARTS; c++) ROW(q, c, r) = at(x + r * apart + c * WIDTH);
    return q;
}

#define stacked NAME(stacked)
/* Products of four quads of rows with one vector: the sums of `products`, but not one after another. */
INLINE void stacked(quad *sum, const double *a, int64_t w, const double *b, int64_t step) {
    for (int h = 0; h < 4; h++) sum[h] = zero();
    for (int64_t k = 0; k < w; k++, a += QUAD, b += step)
        for (int h = 0; h < 4; h++)
            sum[h] = multiply_add(sum[h], load(a + h * w * QUAD), b, WIDTH);
}

#define scatter NAME(scatter)
/* Subtracts the first `count` numbers of a quad from places of a vector. */
INLINE void scatter(double *x, const int32_t *rows, int64_t count, int64_t apart, quad q) {
    for (int r = 0; r < 4; r++)
        if (r < count)
            for (int c = 0; c < PARTS; c++)
                *(some *)(x + rows[r] * apart + c * WIDTH) -= ROW(q, c, r);
}

#define corner_forward NAME(corner_forward)
/* Up to four numbers of y by the block on the diagonal, less a quad that comes from columns before. */
INLINE void corner_forward(const double *own, double *y, int64_t apart, quad sum, int64_t count) {
    value left[4];
    for (int r = 0; r < 4; r++)
        if (r < count) {
            left[r] = value_at(y + r * apart, WIDTH);
            for (int c = 0; c < PARTS; c++) left[r].p[c] -= ROW(sum, c, r);
        }
    for (int j = 0; j < 4; j++)
        if (j < count) {
            const double *column = own + j * QUAD;
            left[j] = scaled(left[j], value_at(column + j * WIDTH, 4 * WIDTH));
            put(y + j * apart, left[j]);
            for (int r = j + 1; r < 4; r++)
                if (r < count)
                    left[r] = less(left[r], value_at(column + r * WIDTH, 4 * WIDTH), left[j]);
        }
}

#define forward NAME(forward)
/* x = L^-1 x for one group and `sides` right-hand sides, a row of x being `apart` from the next. */
INLINE void forward(const plan *p, int64_t s, const double *f, double *x, int64_t apart, int sides) {
    int64_t w = p->starts[s + 1] - p->starts[s];
    int64_t m = p->below[s + 1] - p->below[s];
    const double *square = f + p->diagonal[s] / 4 * QUAD, *rest = f + p->rest[s] / 4 * QUAD;
    const int32_t *rows = p->rows + p->below[s];
    double *mine = x + p->starts[s] * apart;
    quad sum[4];
    for (int64_t k = 0; k < w; k += 4) {
        const double *own = square + square_quads(k / 4) * QUAD;
        products(sum, own, mine, k, apart, ENTRY, WIDTH, sides);
        for (int t = 0; t < sides; t++)
            corner_forward(own + k * QUAD, mine + k * apart + t * ENTRY, apart, sum[t], w - k);
    }
    int64_t i = 0;
    if (sides == 1)
        for (; i + 16 <= m; i += 16, rest += 4 * w * QUAD) {
            stacked(sum, rest, w, mine, apart);
            for (int h = 0; h < 4; h++) scatter(x, rows + i + 4 * h, 4, apart, sum[h]);
        }
    for (; i < m; i += 4, rest += w * QUAD) {
        products(sum, rest, mine, w, apart, ENTRY, WIDTH, sides);
        for (int t = 0; t < sides; t++) scatter(x + t * ENTRY, rows + i, m - i, apart, sum[t]);
    }
}

#define times NAME(times)
/* s + a b row by row. */
INLINE quad times(quad s, quad a, quad b) {
    for (int i = 0; i < PACKS; i++) s.p[0][i] += a.p[0][i] * b.p[0][i];
#if PARTS == 2
    for (int i = 0; i < PACKS; i++) {
        s.p[0][i] -= a.p[1][i] * b.p[1][i];
        s.p[1][i] += a.p[0][i] * b.p[1][i];
        s.p[1][i] += a.p[1][i] * b.p[0][i];
    }
#endif
    return s;
}

#define total NAME(total)
INLINE some total(quad q, int c) { return (ROW(q, c, 0) + ROW(q, c, 1)) + (ROW(q, c, 2) + ROW(q, c, 3)); }

#define above NAME(above)
/* Back substitution of `columns` columns at k of a group, with the quads below them in `found`. */
INLINE void above(const double *square, const double *rest, double *mine, const quad *found,
                  int64_t w, int64_t fours, int64_t k, int64_t apart, int columns) {
    quad sum[4];
    for (int c = 0; c < columns; c++) sum[c] = zero();
    int64_t high = (w + 3) / 4;
    for (int64_t h = k / 4 + 1; h < high; h++) {
        quad below = gather(mine + 4 * h * apart, apart, w - 4 * h);
        const double *a = square + (square_quads(h) + k) * QUAD;
        for (int c = 0; c < columns; c++) sum[c] = times(sum[c], load(a + c * QUAD), below);
    }
    for (int64_t h = 0; h < fours; h++) {
        const double *a = rest + (h * w + k) * QUAD;
        for (int c = 0; c < columns; c++) sum[c] = times(sum[c], load(a + c * QUAD), found[h]);
    }
    const double *own = square + (square_quads(k / 4) + k) * QUAD;
    value left[4];
    for (int j = 0; j < columns; j++) {
        left[j] = value_at(mine + (k + j) * apart, WIDTH);
        for (int c = 0; c < PARTS; c++) left[j].p[c] -= total(sum[j], c);
    }
    for (int j = columns - 1; j >= 0; j--) {
        left[j] = scaled(left[j], value_at(own + j * QUAD + j * WIDTH, 4 * WIDTH));
        put(mine + (k + j) * apart, left[j]);
        for (int i = 0; i < j; i++)
            left[i] = less(left[i], value_at(own + i * QUAD + j * WIDTH, 4 * WIDTH), left[j]);
    }
}

#define backward NAME(backward)
/* x = L^-T x for one group and one right-hand side; `found` is room for the quads below it. */
INLINE void backward(const plan *p, int64_t s, const double *f, double *x, int64_t apart, quad *found) {
    int64_t w = p->starts[s + 1] - p->starts[s];
    int64_t m = p->below[s + 1] - p->below[s], fours = (m + 3) / 4;
    const double *square = f + p->diagonal[s] / 4 * QUAD, *rest = f + p->rest[s] / 4 * QUAD;
    const int32_t *rows = p->rows + p->below[s];
    for (int64_t h = 0; h < fours; h++) {
        found[h] = zero();
        for (int r = 0; r < 4 && 4 * h + r < m; r++)
            for (int c = 0; c < PARTS; c++)
                ROW(found[h], c, r) = at(x + rows[4 * h + r] * apart + c * WIDTH);
    }
    double *mine = x + p->starts[s] * apart;
    for (int64_t k = (w - 1) / 4 * 4; k >= 0; k -= 4)
        if (w - k >= 4)
            above(square, rest, mine, found, w, fours, k, apart, 4);
        else
            above(square, rest, mine, found, w, fours, k, apart, (int)(w - k));
}

#define sweep NAME(sweep)
/* L^-1 for one group and any number of right-hand sides, as many at a time as registers hold. */
static void sweep(const plan *p, int64_t s, const double *f, double *room, int64_t sides) {
    int64_t t = 0, apart = sides * ENTRY;
#if PARTS == 1
    for (; t + 4 <= sides; t += 4) forward(p, s, f, room + t * ENTRY, apart, 4);
#else
    for (; t + 2 <= sides; t += 2) forward(p, s, f, room + t * ENTRY, apart, 2);
#endif
    for (; t < sides; t++) forward(p, s, f, room + t * ENTRY, apart, 1);
}

#define ordered NAME(ordered)
static void ordered(const plan *p, const double *b, double *room, int64_t apart) {
    for (int64_t i = 0; i < p->n; i++)
        memcpy(room + i * apart, b + p->order[i] * apart, (size_t)apart * 8);
}

#define finish NAME(finish)
/* x = L^-T y for y in `room`, and back to the order of the nodes. */
static void finish(const plan *p, const double *f, double *x, int64_t sides, double *room) {
    int64_t apart = sides * ENTRY;
    quad *found = (quad *)(room + p->n * apart);
    for (int64_t s = p->groups - 1; s >= 0; s--)
        for (int64_t t = 0; t < sides; t++) backward(p, s, f, room + t * ENTRY, apart, found);
    for (int64_t i = 0; i < p->n; i++)
        memcpy(x + p->order[i] * apart, room + i * apart, (size_t)apart * 8);
}

/* Factors a tile; given (entries, part, lane), f the factor, failed (lane) a column + 1 or 0. With
 * right-hand sides it solves as well, as `solve` does: forward while the columns are in the cache. */
void NAME(factor)(const plan *p, const double *given, double *f, int64_t *failed, const double *b,
                  double *x, int64_t sides, double *room) {
    for (int l = 0; l < WIDTH; l++) failed[l] = 0;
    if (sides) ordered(p, b, room, sides * ENTRY);
    for (int64_t s = 0; s < p->groups; s++) {
        for (int32_t i = p->fresh_at[s]; i < p->fresh_at[s + 1]; i++)
            begin(p, p->fresh[i], f, given);
        panel(p, s, f, given, failed);
        update(p, s, f);
        if (sides) sweep(p, s, f, room, sides);
    }
    if (sides) finish(p, f, x, sides, room);
}

/* x = A^-1 b for `sides` right-hand sides, b and x (n, sides, part, lane); room as large as x, and
 * then the tallest group's quads. */
void NAME(solve)(const plan *p, const double *f, const double *b, double *x, int64_t sides,
                 double *room) {
    ordered(p, b, room, sides * ENTRY);
    for (int64_t s = 0; s < p->groups; s++) sweep(p, s, f, room, sides);
    finish(p, f, x, sides, room);
}

/* Products of the matrices of one symmetric pattern, and of dense ones, lane by lane. */

#define add_product NAME(add_product)
/* sum += a b for one entry each. */
INLINE void add_product(some *sum, const double *a, const double *b) {
    some ar = at(a), br = at(b);
    sum[0] = fused(sum[0], ar, br);
#if PARTS == 2
    some ai = at(a + WIDTH), bi = at(b + WIDTH);
    sum[0] = fused(sum[0], -ai, bi);
    sum[1] = fused(sum[1], ar, bi);
    sum[1] = fused(sum[1], ai, br);
#endif
}

#define add_to NAME(add_to)
/* y += a x for one entry a and `sides` entries x and y. */
INLINE void add_to(double *y, const double *a, const double *x, int64_t sides) {
    for (int64_t t = 0; t < sides; t++, x += ENTRY, y += ENTRY) {
        some sum[PARTS];
        for (int c = 0; c < PARTS; c++) sum[c] = at(y + c * WIDTH);
        add_product(sum, a, x);
        for (int c = 0; c < PARTS; c++) *(some *)(y + c * WIDTH) = sum[c];
    }
}

/* y += A x; entry k of the lower triangle of A stands in row[k] and column[k]; x (n, sides). */
void NAME(symmetric_times)(int64_t entries, const int32_t *row, const int32_t *column,
                           const double *a, const double *x, double *y, int64_t sides) {
    int64_t apart = sides * ENTRY;
    for (int64_t k = 0; k < entries; k++, a += ENTRY) {
        add_to(y + row[k] * apart, a, x + column[k] * apart, sides);
        if (row[k] != column[k]) add_to(y + column[k] * apart, a, x + row[k] * apart, sides);
    }
}

/* out[k] = sum over the sides of left_i right_j + left_j right_i, the second off the diagonal. */
void NAME(symmetric_pairs)(int64_t entries, const int32_t *row, const int32_t *column,
                           const double *left, const double *right, double *out, int64_t sides) {
    int64_t apart = sides * ENTRY;
    for (int64_t k = 0; k < entries; k++, out += ENTRY) {
        const double *li = left + row[k] * apart, *lj = left + column[k] * apart;
        const double *ri = right + row[k] * apart, *rj = right + column[k] * apart;
        some sum[PARTS];
        for (int c = 0; c < PARTS; c++) sum[c] = (some){0};
        for (int64_t t = 0; t < apart; t += ENTRY) add_product(sum, li + t, rj + t);
        if (row[k] != column[k])
            for (int64_t t = 0; t < apart; t += ENTRY) add_product(sum, lj + t, ri + t);
        for (int c = 0; c < PARTS; c++) *(some *)(out + c * WIDTH) = sum[c];
    }
}

#define product_block NAME(product_block)
/* out[a][b] += sum over i of x[i][a] y[i][b] for `as` by `bs` entries; steps count numbers. */
INLINE void product_block(const double *x, int64_t xi, int64_t xa, const double *y, int64_t yi,
                          double *out, int64_t apart, int64_t count, int as, int bs) {
    some sum[4][4][PARTS];
    for (int a = 0; a < as; a++)
        for (int b = 0; b < bs; b++)
            for (int c = 0; c < PARTS; c++)
                sum[a][b][c] = at(out + a * apart + b * ENTRY + c * WIDTH);
    for (int64_t i = 0; i < count; i++, x += xi, y += yi)
        for (int a = 0; a < as; a++)
            for (int b = 0; b < bs; b++) add_product(sum[a][b], x + a * xa, y + b * ENTRY);
    for (int a = 0; a < as; a++)
        for (int b = 0; b < bs; b++)
            for (int c = 0; c < PARTS; c++)
                *(some *)(out + a * apart + b * ENTRY + c * WIDTH) = sum[a][b][c];
}

/* out[a][b] += sum over i of x[i][a] y[i][b]; rows i of x lie `xi` entries apart, its columns `xa`.
 * Some rows at a time, which stay in the cache. */
void NAME(lane_products)(int64_t height, int64_t rows, int64_t columns, const double *x, int64_t xi,
                         int64_t xa, const double *y, double *out) {
    enum { TALL = 4 / PARTS, WIDE = 4, SOME = 16 };
    int64_t yi = columns * ENTRY, apart = columns * ENTRY;
    xi *= ENTRY, xa *= ENTRY;
    for (int64_t i = 0; i < height; i += SOME) {
        int64_t count = height - i < SOME ? height - i : SOME;
        for (int64_t a = 0; a < rows; a += TALL)
            for (int64_t b = 0; b < columns; b += WIDE) {
                const double *xs = x + i * xi + a * xa, *ys = y + i * yi + b * ENTRY;
                double *o = out + a * apart + b * ENTRY;
                if (rows - a >= TALL && columns - b >= WIDE)
                    product_block(xs, xi, xa, ys, yi, o, apart, count, TALL, WIDE);
                else
                    for (int64_t r = 0; r < TALL && a + r < rows; r++)
                        for (int64_t q = 0; q < WIDE && b + q < columns; q++)
                            product_block(xs + r * xa, xi, xa, ys + q * ENTRY, yi,
                                          o + r * apart + q * ENTRY, apart, count, 1, 1);
            }
    }
}

#if PARTS == 1
/* The largest size of `count` numbers of each lane; NaN where one of them is not finite. */
void NAME(largest)(int64_t count, const double *x, double *out) {
    double most[WIDTH] = {0}, spoilt[WIDTH] = {0};
    for (int64_t i = 0; i < count; i++, x += WIDTH)
        for (int l = 0; l < WIDTH; l++) {
            most[l] = fabs(x[l]) > most[l] ? fabs(x[l]) : most[l];
            spoilt[l] += x[l] * 0.0;
        }
    for (int l = 0; l < WIDTH; l++) out[l] = most[l] + spoilt[l];
}

/* Cells in lines that exchange with their neighbours along the line: I + a K with K the graph
 * Laplacian of the conductances `couple`, couple[i] between the cells i - 1 and i of the order; it
 * is zero where a line begins, so that all lines are one chain. a, down and inverse differ from
 * lane to lane. Nothing is subtracted in the factor or in a solve, whose results stay within the
 * bounds of what is given (Thomas' method for an M-matrix). */

/* L D L^T of I + a K: -down below the diagonal of L, inverse = D^-1. */
void NAME(line_factor)(int64_t n, const double *couple, const double *a, double *down,
                       double *inverse) {
    some one = (some){0} + 1.0, slack = one, kept = one, scale = at(a);
    for (int64_t i = 0; i < n; i++) {
        some before = scale * couple[i], after = scale * (i + 1 < n ? couple[i + 1] : 0.0);
        /* what is left of the pivot without the bond to the next cell */
        slack = fused(one, before, slack * kept);
        *(some *)(down + i * WIDTH) = before * kept;
        kept = one / (slack + after);
        *(some *)(inverse + i * WIDTH) = kept;
    }
}

/* (I + a K)^-1 in place; `cell` is where each cell of the chain lies in x (cells, lane). */
void NAME(line_solve)(int64_t n, const int32_t *cell, const double *down, const double *inverse,
                      double *x) {
    some last = (some){0}, bond = (some){0};
    for (int64_t i = 0; i < n; i++) {
        some *here = (some *)(x + cell[i] * WIDTH);
        last = fused(*here, at(down + i * WIDTH), last);
        *here = last * at(inverse + i * WIDTH);
    }
    last = (some){0};
    for (int64_t i = n - 1; i >= 0; i--) {
        some *here = (some *)(x + cell[i] * WIDTH);
        *here = last = fused(*here, bond, last);
        bond = at(down + i * WIDTH);
    }
}

/* y = K x; y is another array than x. */
void NAME(line_times)(int64_t n, const int32_t *cell, const double *couple, const double *x,
                      double *y) {
    some flux = (some){0};
    for (int64_t i = 0; i < n; i++) {
        some rise = (some){0};
        if (i + 1 < n)
            rise = (at(x + cell[i + 1] * WIDTH) - at(x + cell[i] * WIDTH)) * couple[i + 1];
        *(some *)(y + cell[i] * WIDTH) = flux - rise;
        flux = rise;
    }
}
#endif

#endif
