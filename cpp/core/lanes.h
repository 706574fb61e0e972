#pragma once
// Lanes of double: simd.h's sibling for formulas in double precision. A "number" N is a double (one item: host, CUDA
// thread), a vector of W doubles, or a pair of such vectors (2 W items, for formulas whose operations wait for each
// other: two independent ones fill the gaps); every function here takes any of them, so that one template serves all.
// All of it is SONORAY_INLINE (see dispatch.h), so that files compiled per processor level may use it.
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "core/exec.h"

#if !defined(__CUDACC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

/// A function that is called, not inlined: large and rare. Only for templates over N, whose type differs between the
/// files of different processor levels, so that the linker cannot mix them up.
#if defined(__CUDACC__)
#define SONORAY_OUTLINED __noinline__
#else
#define SONORAY_OUTLINED __attribute__((noinline))
#endif

/// Before a loop that must stay one (its body is large and gains nothing from copies), or must become copies (so that
/// what it indexes lies in registers).
#if defined(__clang__)
#define SONORAY_ROLLED _Pragma("clang loop unroll(disable)")
#define SONORAY_UNROLLED _Pragma("clang loop unroll(full)")
#elif defined(__CUDACC__)
#define SONORAY_ROLLED _Pragma("unroll 1")
#define SONORAY_UNROLLED _Pragma("unroll")
#else
#define SONORAY_ROLLED _Pragma("GCC unroll 1")
#define SONORAY_UNROLLED _Pragma("GCC unroll 16")
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

template <int W>
struct PairMask {
  decltype(Double<W>{} < Double<W>{}) a, b;

  friend SONORAY_INLINE PairMask operator&(PairMask x, PairMask y) { return {x.a & y.a, x.b & y.b}; }
  friend SONORAY_INLINE PairMask operator|(PairMask x, PairMask y) { return {x.a | y.a, x.b | y.b}; }
};

/// Two vectors side by side. The compiler's own vectors of twice the width would be split through memory.
template <int W>
struct Pair {
  Double<W> a, b;

  SONORAY_INLINE Pair operator-() const { return {-a, -b}; }
#define SONORAY_PAIR(op)                                                                      \
  friend SONORAY_INLINE Pair operator op(Pair x, Pair y) { return {x.a op y.a, x.b op y.b}; } \
  friend SONORAY_INLINE Pair operator op(Pair x, double y) { return {x.a op y, x.b op y}; }   \
  friend SONORAY_INLINE Pair operator op(double x, Pair y) { return {x op y.a, x op y.b}; }   \
  template <class T>                                                                          \
  SONORAY_INLINE Pair& operator op## = (T y) {                                                \
    return *this = *this op y;                                                                \
  }
  SONORAY_PAIR(+)
  SONORAY_PAIR(-)
  SONORAY_PAIR(*)
  SONORAY_PAIR(/)
#undef SONORAY_PAIR
#define SONORAY_PAIR(op)                                                                             \
  friend SONORAY_INLINE PairMask<W> operator op(Pair x, Pair y) { return {x.a op y.a, x.b op y.b}; } \
  friend SONORAY_INLINE PairMask<W> operator op(Pair x, double y) { return {x.a op y, x.b op y}; }
  SONORAY_PAIR(<)
  SONORAY_PAIR(>)
  SONORAY_PAIR(<=)
  SONORAY_PAIR(>=)
  SONORAY_PAIR(==)
#undef SONORAY_PAIR
};

/// The number that files compiled for this processor level use.
#if defined(__AVX512F__)
using Wide = Pair<8>;
#elif defined(__AVX2__)
using Wide = Pair<4>;
#else
using Wide = Pair<2>;
#endif
#endif

template <class N>
inline constexpr int count = sizeof(N) / sizeof(double);
template <class N>
inline constexpr bool is_pair = false;
#if !defined(__CUDACC__)
template <int W>
inline constexpr bool is_pair<Pair<W>> = true;
#endif

/// What a comparison of two numbers gives: bool, or all bits of each lane.
template <class N>
using mask_of = decltype(N{} < N{});

template <class N>
SONORAY_HD SONORAY_INLINE N same(double x) {
  return N{} + x;
}

template <class N>
SONORAY_HD SONORAY_INLINE N pick(mask_of<N> m, N a, N b) {
  if constexpr (is_pair<N>)
    return {m.a ? a.a : b.a, m.b ? a.b : b.b};
  else
    return m ? a : b;
}
/// `b` where either is NaN, like `larger`.
template <class N>
SONORAY_HD SONORAY_INLINE N smaller(N a, N b) {
  return pick<N>(a < b, a, b);
}
template <class N>
SONORAY_HD SONORAY_INLINE N larger(N a, N b) {
  return pick<N>(a > b, a, b);
}
template <class N>
SONORAY_HD SONORAY_INLINE N absolute(N a) {
  return larger<N>(a, -a);
}

/// Square root of each lane.
template <class N>
SONORAY_HD SONORAY_INLINE N root(N x) {
  if constexpr (is_pair<N>) {
    return {root(x.a), root(x.b)};
  } else if constexpr (count<N> == 1) {
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

/// Whether the mask holds for any lane of N.
template <class N, class M>
SONORAY_HD SONORAY_INLINE bool any(M m) {
  if constexpr (is_pair<N>) {
    return any<decltype(N::a)>(m.a) || any<decltype(N::a)>(m.b);
  } else if constexpr (count<N> == 1) {
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
SONORAY_HD SONORAY_INLINE double lane(const N& x, int l) {
  if constexpr (is_pair<N>)
    return l < count<N> / 2 ? x.a[l] : x.b[l - count<N> / 2];
  else if constexpr (count<N> == 1)
    return x;
  else
    return x[l];
}
template <class N>
SONORAY_HD SONORAY_INLINE void set_lane(N& x, int l, double value) {
  if constexpr (is_pair<N>)
    (l < count<N> / 2 ? x.a[l] : x.b[l - count<N> / 2]) = value;
  else if constexpr (count<N> == 1)
    x = value;
  else
    x[l] = value;
}

/// Addresses of all lanes: one, or as many as a vector has, or those of both vectors of a pair.
template <class N, class = void>
struct IndexOf {
  std::int32_t i;
  SONORAY_HD SONORAY_INLINE std::int32_t operator[](int) const { return i; }
};
#if !defined(__CUDACC__)
template <class N>
struct IndexOf<N, std::enable_if_t<(sizeof(N) > 8) && !is_pair<N>>> {
  std::int32_t i[count<N>];
  SONORAY_INLINE std::int32_t operator[](int l) const { return i[l]; }
};
template <class N>
struct IndexOf<N, std::enable_if_t<is_pair<N>>> {
  IndexOf<decltype(N::a)> a, b;
};
#endif

/// The whole part of 0 <= x < 2^31, as a number.
template <class N>
SONORAY_HD SONORAY_INLINE N whole(N x) {
  if constexpr (is_pair<N>) {
    return {whole(x.a), whole(x.b)};
  } else if constexpr (count<N> == 1) {
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
  if constexpr (is_pair<N>) {
    r.a = to_index(x.a);
    r.b = to_index(x.b);
  } else if constexpr (count<N> == 1) {
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
  if constexpr (is_pair<N>) {
    decltype(N::a) a[4], b[4];
    load_rows(p, at.a, a);
    load_rows(p, at.b, b);
    for (int k = 0; k < 4; ++k) c[k] = {a[k], b[k]};
  } else if constexpr (count<N> == 1) {
    for (int k = 0; k < 4; ++k) c[k] = p[at[0] + k];
  } else {
#if !defined(__CUDACC__)
#if defined(__AVX2__)
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
    for (int k = 0; k < 4; ++k) {
#if defined(__AVX512F__)
      if constexpr (count<N> == 8)
        c[k] =
            reinterpret_cast<N>(_mm512_maskz_insertf64x4(0xff, _mm512_castpd256_pd512(column[0][k]), column[1][k], 1));
#endif
      if constexpr (count<N> == 4) c[k] = reinterpret_cast<N>(column[0][k]);
    }
#elif defined(__SSE2__)
    static_assert(count<N> == 2, "two lanes");
    for (int half = 0; half < 2; ++half) {
      const __m128d a = _mm_loadu_pd(p + 2 * half + at[0]), b = _mm_loadu_pd(p + 2 * half + at[1]);
      c[2 * half] = reinterpret_cast<N>(_mm_unpacklo_pd(a, b));
      c[2 * half + 1] = reinterpret_cast<N>(_mm_unpackhi_pd(a, b));
    }
#else
    for (int k = 0; k < 4; ++k)
      for (int l = 0; l < count<N>; ++l) c[k][l] = p[at[l] + k];
#endif
#endif
  }
}

}  // namespace sonoray::lanes
