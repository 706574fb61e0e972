#pragma once
// The integral of a bilinear (2-D) or trilinear (3-D) field along a straight segment, exactly.
//
// In a cell the interpolant is a sum of 2^D products of (1, p_i), where p_i in [-1/2, 1/2] is the position along axis
// i from the cell's centre; its coefficients c are sums and differences of the nodes' values / 2^D' (`coefficient`).
// Along a straight piece of length L with its middle at m and extent e the integrals of those products are
//   1 -> L,   p_i -> L m_i,   p_i p_j -> L (m_i m_j + e_i e_j / 12),
//   p_0 p_1 p_2 -> L (m_0 m_1 m_2 + (m_0 e_1 e_2 + m_1 e_0 e_2 + m_2 e_0 e_1) / 12),
// because odd powers of the position along the piece vanish and its square has the mean 1/12. A forward operator is
// the dot product of these moments with c, its adjoint adds multiples of them to an image of moments per cell, and the
// transposed sums and differences then give the nodes' values.
#include <cstdint>

#include "core/exec.h"

#if !defined(__CUDACC__) && defined(__AVX__)
#include <immintrin.h>
#endif

namespace sonoray {

/// Nodes of a regular grid, the last axis fastest; 2-D (x, z) or 3-D (x, y, z).
struct TomographyGrid {
  int ndim = 2;
  std::int64_t shape[3] = {1, 1, 1};
  double spacing[3] = {};  ///< [m]
  double origin[3] = {};   ///< [m] first node

  SONORAY_HD std::int64_t size() const { return shape[0] * shape[1] * (ndim == 3 ? shape[2] : 1); }
};

namespace tomography {

// The functions of steps and pieces take doubles or vectors of them (GCC and Clang vector types): F is either.
template <class F>
struct WholeOf {
  using type = std::int32_t;
};
#if !defined(__CUDACC__)
template <int W>
struct Lanes {
  typedef double F __attribute__((vector_size(8 * W)));
  typedef std::int32_t I __attribute__((vector_size(4 * W)));
};
template <>
struct WholeOf<Lanes<4>::F> {
  using type = Lanes<4>::I;
};
template <>
struct WholeOf<Lanes<8>::F> {
  using type = Lanes<8>::I;
};
#endif
template <class F>
using whole_of = typename WholeOf<F>::type;

/// Truncates towards zero.
template <class F>
SONORAY_HD SONORAY_INLINE whole_of<F> to_whole(F x) {
  if constexpr (sizeof(F) == sizeof(double)) {
    return static_cast<std::int32_t>(x);
  } else {
#if !defined(__CUDACC__)
    return __builtin_convertvector(x, whole_of<F>);
#endif
  }
}

template <class F>
SONORAY_HD SONORAY_INLINE F to_double(whole_of<F> i) {
  if constexpr (sizeof(F) == sizeof(double)) {
    return static_cast<double>(i);
  } else {
#if !defined(__CUDACC__)
    return __builtin_convertvector(i, F);
#endif
  }
}

/// The same, as a floating-point number.
template <class F>
SONORAY_HD SONORAY_INLINE F truncated(F x) {
#if !defined(__CUDACC__) && defined(__AVX__)
  constexpr int mode = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  if constexpr (sizeof(F) == 32) return reinterpret_cast<F>(_mm256_round_pd(reinterpret_cast<__m256d>(x), mode));
#if defined(__AVX512F__)
  if constexpr (sizeof(F) == 64)
    return reinterpret_cast<F>(_mm512_maskz_roundscale_pd(0xff, reinterpret_cast<__m512d>(x), mode));
#endif
#endif
  return to_double<F>(to_whole<F>(x));
}

template <class F>
SONORAY_HD SONORAY_INLINE F smaller(F a, F b) {
  return a < b ? a : b;
}
template <class F>
SONORAY_HD SONORAY_INLINE F larger(F a, F b) {
  return a < b ? b : a;
}

/// A straight step that is shorter than one cell along every axis, so that it crosses each axis' lines at most once.
template <int D, class F>
struct Step {
  F from[D], along[D];  ///< in cells
  F length;             ///< [m]
};

/// What of a step lies in one cell.
template <int D, class F>
struct Piece {
  whole_of<F> cell;  ///< its first node
  F middle[D];       ///< in cells, from the cell's centre
  F extent[D];       ///< in cells
  F length;          ///< [m]
};

/// Position along one axis in cells; a rounding margin beyond the grid is cut off.
SONORAY_HD SONORAY_INLINE double in_cells(double position, double origin, double inverse_spacing, double last) {
  return smaller(larger((position - origin) * inverse_spacing, 0.0), last);
}

/// Into how many steps a segment of this extent [cells along its longest axis] is divided.
template <class F>
SONORAY_HD SONORAY_INLINE whole_of<F> steps_of(F extent) {
  return to_whole<F>(extent * (1 - 1e-9)) + 1;
}

/// Where along the step, 0 to 1, it crosses a grid line of one axis; 1 if it does not.
template <class F>
SONORAY_HD SONORAY_INLINE F crossing(F from, F along) {
  const F zero = F{}, one = F{} + 1.0;
  const F a = truncated<F>(from), b = truncated<F>(from + along);
  const F t = (larger<F>(a, b) - from) / (a == b ? one : along);
  return a == b ? one : smaller<F>(larger<F>(t, zero), one);
}

/// The ends of a step's D + 1 pieces, rising from 0 to 1; some pieces may be empty.
template <int D, class F>
SONORAY_HD SONORAY_INLINE void split(const Step<D, F>& s, F* ends) {
  ends[0] = F{};
  ends[D + 1] = F{} + 1.0;
  const F a = crossing<F>(s.from[0], s.along[0]), b = crossing<F>(s.from[1], s.along[1]);
  const F low = smaller<F>(a, b), high = larger<F>(a, b);
  if constexpr (D == 2) {
    ends[1] = low;
    ends[2] = high;
  } else {
    const F c = crossing<F>(s.from[2], s.along[2]);
    ends[1] = smaller<F>(low, c);
    ends[2] = smaller<F>(larger<F>(low, c), high);
    ends[3] = larger<F>(high, c);
  }
}

/// The piece between two of these ends. `cells` are the numbers of cells per axis.
template <int D, class F>
SONORAY_HD SONORAY_INLINE Piece<D, F> piece(const Step<D, F>& s, F begin, F end, const double* cells) {
  Piece<D, F> p;
  const F part = end - begin, middle = 0.5 * (begin + end);
  p.length = s.length * part;
  F cell = {};  // below 2^31, so exact
  for (int i = 0; i < D; ++i) {
    const F x = s.from[i] + s.along[i] * middle;
    const F k = smaller<F>(truncated<F>(x), F{} + (cells[i] - 1));
    p.middle[i] = x - k - 0.5;
    p.extent[i] = s.along[i] * part;
    cell = cell * (cells[i] + 1) + k;
  }
  p.cell = to_whole<F>(cell);
  return p;
}

/// The 2^D moments of a piece; bit i of an index (from the last axis) says that p_i is a factor.
template <int D, class F>
SONORAY_HD SONORAY_INLINE void moments(const Piece<D, F>& p, F* w) {
  const F L = p.length;
  const F* const m = p.middle;
  const F* const e = p.extent;
  constexpr double twelfth = 1.0 / 12;
  w[0] = L;
  if constexpr (D == 2) {
    w[1] = L * m[1];
    w[2] = L * m[0];
    w[3] = L * (m[0] * m[1] + twelfth * (e[0] * e[1]));
  } else {
    const F xy = twelfth * (e[0] * e[1]), xz = twelfth * (e[0] * e[2]), yz = twelfth * (e[1] * e[2]);
    w[1] = L * m[2];
    w[2] = L * m[1];
    w[3] = L * (m[1] * m[2] + yz);
    w[4] = L * m[0];
    w[5] = L * (m[0] * m[2] + xz);
    w[6] = L * (m[0] * m[1] + xy);
    w[7] = L * (m[0] * (m[1] * m[2] + yz) + (m[1] * xz + m[2] * xy));
  }
}

/// Corner values (bit i of the index: the upper node of axis i) to the coefficients of the products, in place.
template <int D>
SONORAY_HD SONORAY_INLINE void coefficients(double* v) {
  for (int bit = 1; bit < 1 << D; bit *= 2)
    for (int k = 0; k < 1 << D; ++k)
      if (!(k & bit)) {
        const double low = v[k], high = v[k | bit];
        v[k] = 0.5 * (low + high);
        v[k | bit] = high - low;
      }
}

/// The transpose, in place: moments to what they give to the corners.
template <int D>
SONORAY_HD SONORAY_INLINE void corners(double* v) {
  for (int bit = 1; bit < 1 << D; bit *= 2)
    for (int k = 0; k < 1 << D; ++k)
      if (!(k & bit)) {
        const double mean = v[k], difference = v[k | bit];
        v[k] = 0.5 * mean - difference;
        v[k | bit] = 0.5 * mean + difference;
      }
}

/// How far a cell's corner `k` lies from its first node in memory.
template <int D>
SONORAY_HD SONORAY_INLINE std::int64_t corner_offset(int k, const std::int64_t* shape) {
  std::int64_t offset = 0;
  for (int i = 0; i < D; ++i) offset = offset * shape[i] + ((k >> (D - 1 - i)) & 1);
  return offset;
}

/// Whether `index` is a cell's first node; the last node of an axis is none.
template <int D>
SONORAY_HD SONORAY_INLINE bool is_cell(const std::int64_t* index, const std::int64_t* shape) {
  bool inside = true;
  for (int i = 0; i < D; ++i) inside = inside && index[i] + 1 < shape[i];
  return inside;
}

/// Index along each axis of the node at place `k` in memory.
template <int D>
SONORAY_HD SONORAY_INLINE void unravel(std::int64_t k, const std::int64_t* shape, std::int64_t* index) {
  for (int i = D - 1; i >= 0; --i) {
    index[i] = k % shape[i];
    k /= shape[i];
  }
}

/// The value of node `node`, which is x[columns[node]], or 0 where that is negative.
SONORAY_HD SONORAY_INLINE double node_value(const double* x, const std::int32_t* columns, std::int64_t node) {
  if (!columns) return x[node];
  return columns[node] < 0 ? 0.0 : x[columns[node]];
}

/// Coefficients (2^D) of the cell whose first node is `node`.
template <int D>
SONORAY_HD SONORAY_INLINE void cell_coefficients(const double* x, const std::int32_t* columns, std::int64_t node,
                                                 const std::int64_t* shape, double* c) {
  for (int k = 0; k < 1 << D; ++k) c[k] = node_value(x, columns, node + corner_offset<D>(k, shape));
  coefficients<D>(c);
}

/// Weight of moment `m` in corner `k`: the transpose of `coefficients`.
template <int D>
SONORAY_HD SONORAY_INLINE double corner_weight(int k, int m) {
  double weight = 1.0;
  for (int bit = 1; bit < 1 << D; bit *= 2) weight *= !(m & bit) ? 0.5 : (k & bit) ? 1.0 : -1.0;
  return weight;
}

/// What the moments (size, 2^D) of the cells around a node give to it; exactly 0 where no ray passes.
template <int D, class Moment>
SONORAY_HD SONORAY_INLINE double gather_moments(const Moment& moment, std::int64_t node, const std::int64_t* index,
                                                const std::int64_t* shape) {
  double sum = 0;
  for (int k = 0; k < 1 << D; ++k) {
    std::int64_t first[D];
    for (int i = 0; i < D; ++i) first[i] = index[i] - ((k >> (D - 1 - i)) & 1);
    bool inside = is_cell<D>(first, shape);
    for (int i = 0; i < D; ++i) inside = inside && first[i] >= 0;
    if (!inside) continue;
    const std::int64_t cell = node - corner_offset<D>(k, shape);
    for (int m = 0; m < 1 << D; ++m) sum += corner_weight<D>(k, m) * moment(cell, m);
  }
  return sum;
}

}  // namespace tomography
}  // namespace sonoray
