#include "inversion/tomography_rays.h"

#include "core/dispatch.h"

// A ray is cut into steps shorter than a cell (scalar), a block of steps into pieces with their moments (vectors over
// the steps, without branches), and then each piece meets the 2^D numbers of its cell, which lie side by side. Forward
// and adjoint take the moments from the same code.

namespace sonoray::SONORAY_LEVEL {
namespace {

using namespace tomography;

constexpr int block = 256;  // steps whose pieces fit into the level-2 cache

template <int D>
struct Block {
  double from[D][block], along[D][block], length[block];
  int steps = 0;
  alignas(64) std::int32_t cell[D + 1][block];
  alignas(64) double moments[D + 1][block][1 << D];
};

template <int D>
struct Scale {
  double origin[D], spacing[D], inverse[D], last[D];
  std::int32_t cells[D];

  explicit Scale(const TomographyGrid& g) {
    for (int i = 0; i < D; ++i) {
      origin[i] = g.origin[i];
      spacing[i] = g.spacing[i];
      inverse[i] = 1 / g.spacing[i];
      cells[i] = static_cast<std::int32_t>(g.shape[i] - 1);
      last[i] = static_cast<double>(g.shape[i] - 1);
    }
  }
};

template <int D>
void cut(const Scale<D>& scale, Block<D>& b) {
  const std::int32_t* const cells = scale.cells;
#pragma omp simd
  for (int j = 0; j < b.steps; ++j) {
    Step<D> s;
    for (int i = 0; i < D; ++i) {
      s.from[i] = b.from[i][j];
      s.along[i] = b.along[i][j];
    }
    s.length = b.length[j];
    double ends[D + 2];
    split<D>(s, ends);
    for (int k = 0; k <= D; ++k) {
      const Piece<D> p = piece<D>(s, ends[k], ends[k + 1], cells);
      b.cell[k][j] = p.cell;
      double w[1 << D];
      moments<D>(p, w);
      for (int m = 0; m < 1 << D; ++m) b.moments[k][j][m] = w[m];
    }
  }
}

/// Calls use(block) for every block of pieces of one ray.
template <int D, class Use>
SONORAY_INLINE void walk(const Work& work, const Scale<D>& scale, std::int64_t ray, Block<D>& b, const Use& use) {
  const double* const points = work.points;
  b.steps = 0;
  double here[D] = {}, next[D];
  for (std::int64_t node = work.offsets[ray]; node < work.offsets[ray + 1]; ++node) {
    for (int i = 0; i < D; ++i)
      next[i] = in_cells(points[node * D + i], scale.origin[i], scale.inverse[i], scale.last[i]);
    if (node > work.offsets[ray]) {
      double along[D], squared = 0, extent = 0;
      for (int i = 0; i < D; ++i) {
        along[i] = next[i] - here[i];
        const double metres = along[i] * scale.spacing[i];
        squared += metres * metres;
        extent = larger(extent, along[i] < 0 ? -along[i] : along[i]);
      }
      const double length = __builtin_sqrt(squared);
      const std::int32_t n = steps_of(extent);
      const double part = n == 1 ? 1.0 : 1.0 / n;
      for (std::int32_t k = 0; k < n; ++k) {
        const int j = b.steps++;
        for (int i = 0; i < D; ++i) {
          b.along[i][j] = along[i] * part;
          b.from[i][j] = here[i] + along[i] * (part * k);
        }
        b.length[j] = length * part;
        if (b.steps == block) {
          cut<D>(scale, b);
          use(b);
          b.steps = 0;
        }
      }
    }
    for (int i = 0; i < D; ++i) here[i] = next[i];
  }
  if (b.steps) {
    cut<D>(scale, b);
    use(b);
  }
}

template <int D>
void integrate(const Work& work, const double* c, std::int64_t begin, std::int64_t end, double* out) {
  constexpr int n = 1 << D;
  const Scale<D> scale(work.grid);
  Block<D> b;
  for (std::int64_t ray = begin; ray < end; ++ray) {
    double sums[n] = {};
    walk<D>(work, scale, ray, b, [&](const Block<D>& blk) {
      for (int k = 0; k <= D; ++k)
        for (int j = 0; j < blk.steps; ++j) {
          const double* const mine = c + std::int64_t(blk.cell[k][j]) * n;
          for (int m = 0; m < n; ++m) sums[m] += blk.moments[k][j][m] * mine[m];
        }
    });
    double sum = 0;
    for (double s : sums) sum += s;
    out[ray] = sum * (work.weights ? work.weights[ray] : 1.0);
  }
}

template <int D>
void spread(const Work& work, const double* y, std::int64_t begin, std::int64_t end, double* image) {
  constexpr int n = 1 << D;
  const Scale<D> scale(work.grid);
  Block<D> b;
  for (std::int64_t ray = begin; ray < end; ++ray) {
    const double value = y[ray] * (work.weights ? work.weights[ray] : 1.0);
    if (value == 0) continue;
    walk<D>(work, scale, ray, b, [&](const Block<D>& blk) {
      for (int k = 0; k <= D; ++k)
        for (int j = 0; j < blk.steps; ++j) {
          double* const mine = image + std::int64_t(blk.cell[k][j]) * n;
          for (int m = 0; m < n; ++m) mine[m] += value * blk.moments[k][j][m];
        }
    });
  }
}

template <int D>
std::int64_t list(const Work& work, std::int64_t ray, std::int64_t capacity, std::int32_t* cells, double* to) {
  constexpr int n = 1 << D;
  const Scale<D> scale(work.grid);
  Block<D> b;
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
