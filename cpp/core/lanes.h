#pragma once
// Lanes of double: simd.h's sibling for formulas in double precision. A "number" N is a double (host item, CUDA
// thread) or a vector of W doubles (host, one item per lane); every function here takes either, so that one template
// serves all. All of it is SONORAY_INLINE (see dispatch.h), so that files compiled per processor level may use it.
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/exec.h"

#if !defined(__CUDACC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sonoray::lanes {

#if !defined(__CUDACC__)
template <int W>
struct Vector {
  typedef double Double __attribute__((vector_size(8 * W)));
  typedef std::int32_t Int __attribute__((vector_size(4 * W)));
};
template <int W>
using Double = typename Vector<W>::Double;

/// How many lanes a file compiled for this processor level uses.
#if defined(__AVX512F__)
constexpr int per_level = 8;
#elif defined(__AVX2__)
constexpr int per_level = 4;
#else
constexpr int per_level = 2;
#endif
#endif

template <class N>
inline constexpr int count = sizeof(N) / sizeof(double);

/// What a comparison of two numbers gives: bool, or all bits of each lane.
template <class N>
using mask_of = decltype(N{} < N{});

template <class N>
SONORAY_HD SONORAY_INLINE N same(double x) {
  return N{} + x;
}

template <class N>
SONORAY_HD SONORAY_INLINE N pick(mask_of<N> m, N a, N b) {
  return m ? a : b;
}
template <class N>
SONORAY_HD SONORAY_INLINE N smaller(N a, N b) {
  return a < b ? a : b;
}
template <class N>
SONORAY_HD SONORAY_INLINE N larger(N a, N b) {
  return a > b ? a : b;
}
template <class N>
SONORAY_HD SONORAY_INLINE N absolute(N a) {
  return larger<N>(a, -a);
}

/// Square root of each lane.
template <class N>
SONORAY_HD SONORAY_INLINE N root(N x) {
  if constexpr (count<N> == 1) {
#if defined(__CUDA_ARCH__)
    return sqrt(x);
#else
    return __builtin_sqrt(x);
#endif
  } else {
#if !defined(__CUDACC__)
#if defined(__AVX512F__)  // the maskz form: GCC warns about the unmasked one's undefined source
    if constexpr (count<N> == 8) return reinterpret_cast<N>(_mm512_maskz_sqrt_pd(0xff, reinterpret_cast<__m512d>(x)));
#endif
#if defined(__AVX2__)
    if constexpr (count<N> == 4) return reinterpret_cast<N>(_mm256_sqrt_pd(reinterpret_cast<__m256d>(x)));
#endif
#if defined(__SSE2__)
    if constexpr (count<N> == 2) return reinterpret_cast<N>(_mm_sqrt_pd(reinterpret_cast<__m128d>(x)));
#endif
    N r;
    for (int l = 0; l < count<N>; ++l) r[l] = __builtin_sqrt(x[l]);
    return r;
#endif
  }
}

/// Whether the mask holds for any lane.
template <class N>
SONORAY_HD SONORAY_INLINE bool any(mask_of<N> m) {
  if constexpr (count<N> == 1) {
    return m;
  } else {
#if !defined(__CUDACC__)
#if defined(__AVX512F__)
    if constexpr (count<N> == 8)
      return _mm512_test_epi64_mask(reinterpret_cast<__m512i>(m), reinterpret_cast<__m512i>(m));
#endif
#if defined(__AVX2__)
    if constexpr (count<N> == 4) return _mm256_movemask_pd(reinterpret_cast<__m256d>(m));
#endif
#if defined(__SSE2__)
    if constexpr (count<N> == 2) return _mm_movemask_pd(reinterpret_cast<__m128d>(m));
#endif
    bool r = false;
    for (int l = 0; l < count<N>; ++l) r |= m[l] != 0;
    return r;
#endif
  }
}

template <class N>
SONORAY_HD SONORAY_INLINE double lane(N x, int l) {
  if constexpr (count<N> == 1) {
    return x;
  } else {
    return x[l];
  }
}
template <class N>
SONORAY_HD SONORAY_INLINE void set_lane(N& x, int l, double value) {
  if constexpr (count<N> == 1) {
    x = value;
  } else {
    x[l] = value;
  }
}

template <class N, class = void>
struct IndexOf {
  std::int32_t i;
  SONORAY_HD SONORAY_INLINE std::int32_t operator[](int) const { return i; }
};
#if !defined(__CUDACC__)
template <class N>
struct IndexOf<N, std::enable_if_t<(sizeof(N) > 8)>> {
  std::int32_t i[count<N>];
  SONORAY_INLINE std::int32_t operator[](int l) const { return i[l]; }
};
#endif

/// The whole part of 0 <= x < 2^31, as a number.
template <class N>
SONORAY_HD SONORAY_INLINE N whole(N x) {
  if constexpr (count<N> == 1) {
    return static_cast<double>(static_cast<std::int32_t>(x));
  } else {
#if !defined(__CUDACC__)
    typedef typename Vector<count<N>>::Int Int;
    return __builtin_convertvector(__builtin_convertvector(x, Int), N);
#endif
  }
}

/// The same as addresses.
template <class N>
SONORAY_HD SONORAY_INLINE IndexOf<N> to_index(N x) {
  IndexOf<N> r;
  if constexpr (count<N> == 1) {
    r.i = static_cast<std::int32_t>(x);
  } else {
#if !defined(__CUDACC__)
    typedef typename Vector<count<N>>::Int Int;
    const Int n = __builtin_convertvector(x, Int);
    for (int l = 0; l < count<N>; ++l) r.i[l] = n[l];
#endif
  }
  return r;
}

/// c[k] = p[at + k] of every lane, k = 0 to 3: rows are loaded whole and transposed.
template <class N>
SONORAY_HD SONORAY_INLINE void load_rows(const double* p, const IndexOf<N>& at, N (&c)[4]) {
  if constexpr (count<N> == 1) {
    for (int k = 0; k < 4; ++k) c[k] = p[at[0] + k];
    return;
  } else {
#if !defined(__CUDACC__)
#if defined(__AVX2__)
    if constexpr (count<N> % 4 == 0) {
      __m256d column[count<N> / 4][4];
      for (int g = 0; g < count<N> / 4; ++g) {
        for (int half = 0; half < 2; ++half) {
          const double* const q = p + 2 * half;
          const __m256d a = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q + at[4 * g])),
                                                 _mm_loadu_pd(q + at[4 * g + 2]), 1);
          const __m256d b = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(q + at[4 * g + 1])),
                                                 _mm_loadu_pd(q + at[4 * g + 3]), 1);
          column[g][2 * half] = _mm256_unpacklo_pd(a, b);
          column[g][2 * half + 1] = _mm256_unpackhi_pd(a, b);
        }
      }
#if defined(__AVX512F__)
      if constexpr (count<N> == 8) {
        for (int k = 0; k < 4; ++k)
          c[k] = reinterpret_cast<N>(
              _mm512_maskz_insertf64x4(0xff, _mm512_castpd256_pd512(column[0][k]), column[1][k], 1));
        return;
      }
#endif
      if constexpr (count<N> == 4) {
        for (int k = 0; k < 4; ++k) c[k] = reinterpret_cast<N>(column[0][k]);
        return;
      }
    }
#endif
#if defined(__SSE2__)
    if constexpr (count<N> == 2) {
      for (int half = 0; half < 2; ++half) {
        const __m128d a = _mm_loadu_pd(p + 2 * half + at[0]), b = _mm_loadu_pd(p + 2 * half + at[1]);
        c[2 * half] = reinterpret_cast<N>(_mm_unpacklo_pd(a, b));
        c[2 * half + 1] = reinterpret_cast<N>(_mm_unpackhi_pd(a, b));
      }
      return;
    }
#endif
    for (int k = 0; k < 4; ++k)
      for (int l = 0; l < count<N>; ++l) c[k][l] = p[at[l] + k];
#endif
  }
}

}  // namespace sonoray::lanes
