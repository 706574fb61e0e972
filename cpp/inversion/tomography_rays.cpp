#include "inversion/tomography_rays.h"

#include "core/dispatch.h"

// A ray is cut into steps shorter than a cell (scalar), a block of steps into pieces with their moments (vectors over
// the steps, without branches), and then each piece meets the 2^D numbers of its cell, which lie side by side. Forward
// and adjoint take the moments from the same code.

namespace sonoray::SONORAY_LEVEL {
namespace {

using namespace tomography;

#if defined(SONORAY_LEVEL_v4)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif
using F = Lanes<W>::F;
using I = whole_of<F>;
using Four = Lanes<4>::F;

constexpr int block = 128;  // steps; their pieces fit into the level-1 cache

template <int D>
struct alignas(64) Steps {
  double from[D][block + 8], along[D][block + 8], length[block + 8];
  double part[block];
  std::int32_t count[block];  ///< of a segment: into how many steps it is cut; part is 1 / count
  int n;
};

template <int D>
struct alignas(64) Block {
  std::int32_t cell[D + 1][block];
  double moments[D + 1][block][1 << D];
  int steps;
};

template <int D>
struct Scratch {
  Steps<D> segments = {}, steps = {};
  Block<D> pieces = {};
};

template <int D>
struct Scale {
  double origin[D], spacing[D], inverse[D], last[D];  ///< last: the number of cells

  explicit Scale(const TomographyGrid& g) {
    for (int i = 0; i < D; ++i) {
      origin[i] = g.origin[i];
      spacing[i] = g.spacing[i];
      inverse[i] = 1 / g.spacing[i];
      last[i] = static_cast<double>(g.shape[i] - 1);
    }
  }
};

SONORAY_INLINE F& lanes(double* p) { return *reinterpret_cast<F*>(p); }
SONORAY_INLINE const F& lanes(const double* p) { return *reinterpret_cast<const F*>(p); }

SONORAY_INLINE F lanes_anywhere(const double* p) {
  typedef double Unaligned __attribute__((vector_size(8 * W), aligned(8)));
  return *reinterpret_cast<const Unaligned*>(p);
}

SONORAY_INLINE void store_anywhere(double* p, F x) {
  typedef double Unaligned __attribute__((vector_size(8 * W), aligned(8)));
  *reinterpret_cast<Unaligned*>(p) = x;
}

/// Columns of four numbers, `stride` apart, from four rows.
SONORAY_INLINE void store_transposed(Four a, Four b, Four c, Four d, double* to, int stride) {
  const Four ab = __builtin_shufflevector(a, b, 0, 4, 2, 6), AB = __builtin_shufflevector(a, b, 1, 5, 3, 7);
  const Four cd = __builtin_shufflevector(c, d, 0, 4, 2, 6), CD = __builtin_shufflevector(c, d, 1, 5, 3, 7);
  *reinterpret_cast<Four*>(to) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
  *reinterpret_cast<Four*>(to + stride) = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
  *reinterpret_cast<Four*>(to + 2 * stride) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
  *reinterpret_cast<Four*>(to + 3 * stride) = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

template <int half, class V>
SONORAY_INLINE Four part_of(V x) {
  if constexpr (sizeof(V) == sizeof(Four)) {
    return x;
  } else {
    return __builtin_shufflevector(x, x, 4 * half, 4 * half + 1, 4 * half + 2, 4 * half + 3);
  }
}

/// The pieces of some steps; the last lanes may hold leftovers, which are computed and not used.
template <int D>
void cut(const Scale<D>& scale, const Steps<D>& steps, Block<D>& b) {
  constexpr int n = 1 << D;
  b.steps = steps.n;
  double cells[D];
  for (int i = 0; i < D; ++i) cells[i] = scale.last[i];
  for (int j = 0; j < steps.n; j += W) {
    Step<D, F> s;
    for (int i = 0; i < D; ++i) {
      s.from[i] = lanes(&steps.from[i][j]);
      s.along[i] = lanes(&steps.along[i][j]);
    }
    s.length = lanes(&steps.length[j]);
    F ends[D + 2];
    split<D, F>(s, ends);
    for (int k = 0; k <= D; ++k) {
      const Piece<D, F> p = piece<D, F>(s, ends[k], ends[k + 1], cells);
      *reinterpret_cast<I*>(&b.cell[k][j]) = p.cell;
      F w[n];
      moments<D, F>(p, w);
      for (int m = 0; m < n; m += 4) {
        store_transposed(part_of<0>(w[m]), part_of<0>(w[m + 1]), part_of<0>(w[m + 2]), part_of<0>(w[m + 3]),
                         &b.moments[k][j][m], n);
        if constexpr (W == 8)
          store_transposed(part_of<1>(w[m]), part_of<1>(w[m + 1]), part_of<1>(w[m + 2]), part_of<1>(w[m + 3]),
                           &b.moments[k][j + 4][m], n);
      }
    }
  }
}

/// Segments between n + 1 nodes, in cells; returns the longest extent along any axis.
template <int D>
double measure(const Scale<D>& scale, const double* points, int n, Steps<D>& s) {
  for (int i = 0; i < D; ++i) {
    const double origin = scale.origin[i], inverse = scale.inverse[i], last = scale.last[i];
    double* const to = s.from[i];
#pragma omp simd
    for (int j = 0; j <= n; ++j) to[j] = in_cells(points[j * D + i], origin, inverse, last);
  }
  F longest = {};
  for (int j = 0; j < n; j += W) {
    F squared = {}, extent = {};
    for (int i = 0; i < D; ++i) {
      const F along = lanes_anywhere(&s.from[i][j + 1]) - lanes(&s.from[i][j]), metres = along * scale.spacing[i];
      lanes(&s.along[i][j]) = along;
      squared += metres * metres;
      extent = larger<F>(extent, larger<F>(along, -along));
    }
    lanes(&s.length[j]) = squared;
    const I count = steps_of<F>(extent);
    *reinterpret_cast<I*>(&s.count[j]) = count;
    lanes(&s.part[j]) = 1.0 / to_double<F>(count);
    longest = larger<F>(longest, extent);
  }
  double* const length = s.length;
#pragma omp simd
  for (int j = 0; j < n; ++j) length[j] = __builtin_sqrt(length[j]);
  s.n = n;
  double extent = 0;
  for (int l = 0; l < W; ++l) extent = larger<double>(extent, longest[l]);
  return extent;
}

/// Calls use(pieces) for every block of pieces of one ray.
template <int D, class Use>
SONORAY_INLINE void walk(const Work& work, const Scale<D>& scale, std::int64_t ray, Scratch<D>& scratch,
                         const Use& use) {
  Steps<D>&segments = scratch.segments, &steps = scratch.steps;
  Block<D>& pieces = scratch.pieces;
  F ramp;
  for (int l = 0; l < W; ++l) ramp[l] = l;
  for (std::int64_t first = work.offsets[ray]; first < work.offsets[ray + 1] - 1; first += block) {
    const std::int64_t rest = work.offsets[ray + 1] - 1 - first;
    const double extent =
        measure<D>(scale, work.points + first * D, static_cast<int>(rest < block ? rest : block), segments);
    if (steps_of<double>(extent) == 1) {
      cut<D>(scale, segments, pieces);
      use(pieces);
      continue;
    }
    steps.n = 0;
    for (int j = 0; j < segments.n; ++j) {
      const double part = segments.part[j], length = segments.length[j] * part;
      for (std::int32_t k = 0, n = segments.count[j]; k < n; k += W) {  // writes a full vector, counts what is needed
        const std::int32_t more = n - k < W ? n - k : W;
        if (steps.n + more > block) {
          cut<D>(scale, steps, pieces);
          use(pieces);
          steps.n = 0;
        }
        for (int i = 0; i < D; ++i) {
          const double along = segments.along[i][j] * part;
          store_anywhere(&steps.from[i][steps.n], segments.from[i][j] + along * (ramp + double(k)));
          store_anywhere(&steps.along[i][steps.n], F{} + along);
        }
        store_anywhere(&steps.length[steps.n], F{} + length);
        steps.n += more;
      }
    }
    if (steps.n) {
      cut<D>(scale, steps, pieces);
      use(pieces);
    }
  }
}

template <int D>
void integrate(const Work& work, const double* c, std::int64_t begin, std::int64_t end, double* out) {
  constexpr int n = 1 << D;
  const Scale<D> scale(work.grid);
  Scratch<D> b;
  for (std::int64_t ray = begin; ray < end; ++ray) {
    Four sums[D + 1][n / 4] = {};
    walk<D>(work, scale, ray, b, [&](const Block<D>& blk) {
      for (int j = 0; j < blk.steps; ++j)
        for (int k = 0; k <= D; ++k) {
          const Four* const mine = reinterpret_cast<const Four*>(c + std::int64_t(blk.cell[k][j]) * n);
          const Four* const w = reinterpret_cast<const Four*>(blk.moments[k][j]);
          for (int m = 0; m < n / 4; ++m) sums[k][m] += w[m] * mine[m];
        }
    });
    double sum = 0;
    for (int k = 0; k <= D; ++k)
      for (int m = 0; m < n; ++m) sum += sums[k][m / 4][m % 4];
    out[ray] = sum * (work.weights ? work.weights[ray] : 1.0);
  }
}

template <int D>
void spread(const Work& work, const double* y, std::int64_t begin, std::int64_t end, double* image) {
  constexpr int n = 1 << D;
  const Scale<D> scale(work.grid);
  Scratch<D> b;
  for (std::int64_t ray = begin; ray < end; ++ray) {
    const double value = y[ray] * (work.weights ? work.weights[ray] : 1.0);
    if (value == 0) continue;
    walk<D>(work, scale, ray, b, [&](const Block<D>& blk) {
      for (int j = 0; j < blk.steps; ++j)
        for (int k = 0; k <= D; ++k) {
          Four* const mine = reinterpret_cast<Four*>(image + std::int64_t(blk.cell[k][j]) * n);
          const Four* const w = reinterpret_cast<const Four*>(blk.moments[k][j]);
          for (int m = 0; m < n / 4; ++m) mine[m] += value * w[m];
        }
    });
  }
}

template <int D>
std::int64_t list(const Work& work, std::int64_t ray, std::int64_t capacity, std::int32_t* cells, double* to) {
  constexpr int n = 1 << D;
  const Scale<D> scale(work.grid);
  Scratch<D> b;
  std::int64_t count = 0;
  walk<D>(work, scale, ray, b, [&](const Block<D>& blk) {
    for (int k = 0; k <= D; ++k)
      for (int j = 0; j < blk.steps; ++j) {
        if (!(blk.moments[k][j][0] > 0)) continue;  // an empty piece
        if (count < capacity) {
          cells[count] = blk.cell[k][j];
          for (int m = 0; m < n; ++m) to[count * n + m] = blk.moments[k][j][m];
        }
        ++count;
      }
  });
  return count;
}

}  // namespace

void integrate_rays(const Work& work, const double* coefficients, std::int64_t begin, std::int64_t end, double* out) {
  work.grid.ndim == 2 ? integrate<2>(work, coefficients, begin, end, out)
                      : integrate<3>(work, coefficients, begin, end, out);
}

void spread_rays(const Work& work, const double* y, std::int64_t begin, std::int64_t end, double* moments) {
  work.grid.ndim == 2 ? spread<2>(work, y, begin, end, moments) : spread<3>(work, y, begin, end, moments);
}

std::int64_t list_pieces(const Work& work, std::int64_t ray, std::int64_t capacity, std::int32_t* cells,
                         double* moments) {
  return work.grid.ndim == 2 ? list<2>(work, ray, capacity, cells, moments)
                             : list<3>(work, ray, capacity, cells, moments);
}

}  // namespace sonoray::SONORAY_LEVEL
