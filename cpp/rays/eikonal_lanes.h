#pragma once
// What the files that work on lanes of sources share; included by files under sonoray_multiarch() only.
#include "rays/eikonal_kernel.h"
#include "rays/eikonal_sweep.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sonoray::eikonal {
namespace SONORAY_LEVEL {

#if defined(__AVX512F__)
constexpr int width = 16;
#elif defined(__AVX__)
constexpr int width = 8;
#else
constexpr int width = 4;
#endif
typedef float Vec __attribute__((vector_size(width * sizeof(float))));
typedef std::int32_t Mask __attribute__((vector_size(width * sizeof(float))));

}  // namespace SONORAY_LEVEL

template <>
struct Math<SONORAY_LEVEL::Vec> {
  using V = SONORAY_LEVEL::Vec;
  static SONORAY_INLINE V sqrt(V x) {
#if defined(__AVX512F__)
    return (V)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
#elif defined(__AVX__)
    return (V)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
    return (V)_mm_sqrt_ps((__m128)x);
#else
    for (int i = 0; i < SONORAY_LEVEL::width; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
  }
  static SONORAY_INLINE V abs(V x) { return (V)((SONORAY_LEVEL::Mask)x & 0x7fffffff); }
};

namespace SONORAY_LEVEL {
namespace {

SONORAY_INLINE Vec load(const float* p) {
  Vec x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
SONORAY_INLINE void store(float* p, Vec x) { __builtin_memcpy(p, &x, sizeof x); }

SONORAY_INLINE bool any(Mask m) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif defined(__AVX__)
  return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#else
  std::int64_t word[sizeof m / 8], all = 0;
  __builtin_memcpy(word, &m, sizeof m);
  for (std::int64_t w : word) all |= w;
  return all != 0;
#endif
}

/// Sweep q of a tile: bit i set runs axis i downwards.
template <int D>
struct Way {
  Way(const SweepGrid& g, int q, std::uint8_t sides) {
    for (int i = 0; i < D; ++i) {
      down[i] = q >> i & 1;
      sign[i] = down[i] ? -1.0f : 1.0f;
      step[i] = down[i] ? -g.stride[i] : g.stride[i];
      k1[i] = 1.0f / g.h[i];
      // Where waves come from one side only, every node belongs to its sweep: no bound, since `unreached` behind the
      // grid's last nodes makes their central difference as large as it likes.
      const bool both = (sides >> (2 * i) & 3) == 3;
      slack[i] = both ? tie : unlimited;
      near_tie[i] = both ? 1e-1f : 0.0f;
      if (both) replace = Mask{};
    }
  }

  static constexpr float unlimited = 3e38f;
  bool down[D];
  std::int64_t step[D];
  float sign[D], k1[D];
  float slack[D];     ///< by how much (squared, of |grad T|) a wave may run against the sweep at the sweep's own nodes
  float near_tie[D];  ///< by how little it does where changes may bring the node back
  Mask replace = Mask{} - 1;  ///< only this sweep brings waves: what it brings last counts, even if it is later
};

/// What the reference contributes at a node (eikonal_kernel.h), brought up to date row by row and node by node.
template <int D, int NV, Kind kind>
struct Reference {
  static constexpr bool point = kind == Kind::point;
  static constexpr int last = D - 1;

  SONORAY_INLINE Reference(const Lanes& lanes, const Way<D>& way) {
    for (int k = 0; k < NV; ++k) {
      s0[k] = load(lanes.slope[0] + k * width);
      origin[k] = load(lanes.position[last] + k * width);
      for (int i = 0; i < D; ++i) {
        along[i][k] = Vec{};
        slope[i][k] = load(lanes.slope[i] + k * width) * way.sign[i];
      }
    }
  }

  /// `at`: coordinates of the row along all axes but the last.
  SONORAY_INLINE void enter_row(const Lanes& lanes, const Way<D>& way, const float* at) {
    if constexpr (point)
      for (int k = 0; k < NV; ++k) {
        across[k] = Vec{};
        for (int i = 0; i < last; ++i) {
          const Vec d = at[i] - load(lanes.position[i] + k * width);
          along[i][k] = d * way.sign[i];
          slope[i][k] = along[i][k] * s0[k];
          across[k] += d * d;
        }
      }
  }

  /// Moves to coordinate z; returns the scale.
  SONORAY_INLINE Vec enter_node(const Way<D>& way, int k, float z) {
    if constexpr (!point) return Vec{} + 1.0f;
    const Vec d = (z - origin[k]) * way.sign[last];
    along[last][k] = d;
    slope[last][k] = d * s0[k];
    return across[k] + d * d;
  }

  Vec slope[D][NV], along[D][NV], across[NV], origin[NV], s0[NV];
};

/// Tiles [low, high) along each axis.
struct Window {
  int low[3], high[3];
};

/// Calls f(tile, indices) for the tiles of a window in the order of sweep q.
template <int D, class F>
SONORAY_INLINE void for_each_tile(const SweepGrid& g, const Window& window, int q, const F& f) {
  std::int64_t count = 1;
  for (int i = 0; i < D; ++i) count *= window.high[i] - window.low[i];
  for (std::int64_t k = 0; k < count; ++k) {
    int t[3] = {};
    std::int64_t rest = k, tile = 0;
    for (int i = D - 1; i >= 0; --i) {
      const int j = static_cast<int>(rest % (window.high[i] - window.low[i]));
      rest /= window.high[i] - window.low[i];
      t[i] = (q >> i & 1) ? window.high[i] - 1 - j : window.low[i] + j;
    }
    for (int i = 0; i < D; ++i) tile = tile * g.tiles[i] + t[i];
    f(tile, t);
  }
}

}  // namespace
}  // namespace SONORAY_LEVEL
}  // namespace sonoray::eikonal
