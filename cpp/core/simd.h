#pragma once
// Vectors of W floats for the files under sonoray_multiarch(): GCC and Clang vector types, with intrinsics only
// where the language has no word for an instruction. Every function also takes plain floats, so that one template
// serves a vector, a scalar and a CUDA thread. All of it is SONORAY_INLINE (see dispatch.h).
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/exec.h"

#if !defined(__CUDACC__) && defined(__SSE2__)
#include <immintrin.h>
#endif

namespace sonoray::simd {

#if !defined(__CUDACC__)
template <int W>
struct Lanes {
  typedef float Float __attribute__((vector_size(4 * W)));
  typedef std::int32_t Int __attribute__((vector_size(4 * W)));
  typedef float Unaligned __attribute__((vector_size(4 * W), aligned(4)));  // in memory, anywhere
};
template <int W>
using Float = typename Lanes<W>::Float;
template <int W>
using Int = typename Lanes<W>::Int;
#endif

template <class F>
inline constexpr int lanes_of = sizeof(F) / sizeof(float);

template <class F, class = void>
struct IntOf;
template <>
struct IntOf<float> {
  using type = std::int32_t;
};
#if !defined(__CUDACC__)
template <class F>
struct IntOf<F, std::enable_if_t<(sizeof(F) > 4)>> {
  using type = Int<lanes_of<F>>;
};
#endif
/// The integers that go with F: int32 for float, a vector of as many for a vector.
template <class F>
using int_of = typename IntOf<F>::type;

/// Truncates towards zero.
template <class F>
SONORAY_HD SONORAY_INLINE int_of<F> to_int(F x) {
  if constexpr (lanes_of<F> == 1) {
    return static_cast<std::int32_t>(x);
  } else {
#if !defined(__CUDACC__)
    return __builtin_convertvector(x, int_of<F>);
#endif
  }
}

template <class F>
SONORAY_HD SONORAY_INLINE F to_float(int_of<F> i) {
  if constexpr (lanes_of<F> == 1) {
    return static_cast<float>(i);
  } else {
#if !defined(__CUDACC__)
    return __builtin_convertvector(i, F);
#endif
  }
}

/// The nearest whole number, for |x| < 2^22.
template <class F>
SONORAY_HD SONORAY_INLINE F nearest(F x) {
  constexpr float shift = 12582912.0f;  // 1.5 * 2^23: adding it leaves no bits for a fraction
  return (x + shift) - shift;
}

/// Square root. On AVX2 a reciprocal estimate and one Newton step, within 1 ulp and three times as fast.
template <class F>
SONORAY_HD SONORAY_INLINE F root(F x) {
  if constexpr (lanes_of<F> == 1) {
#if defined(__CUDA_ARCH__)
    return sqrtf(x);
#else
    return __builtin_sqrtf(x);
#endif
  } else {
#if !defined(__CUDACC__)
#if defined(__AVX512F__)  // the maskz forms: GCC warns about the unmasked ones' undefined source
    if constexpr (lanes_of<F> == 16)
      return reinterpret_cast<F>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(x)));
#endif
#if defined(__AVX2__)
    if constexpr (lanes_of<F> == 8) {
      const F safe = x > 1e-30f ? x : F{} + 1e-30f;  // zero would give infinity times zero
      const F inverse = reinterpret_cast<F>(_mm256_rsqrt_ps(reinterpret_cast<__m256>(safe)));
      const F r = safe * inverse;
      return x > 1e-30f ? r + (safe - r * r) * (0.5f * inverse) : F{};
    }
#endif
    F r;
    for (int l = 0; l < lanes_of<F>; ++l) r[l] = __builtin_sqrtf(x[l]);
    return r;
#endif
  }
}

/// sin and cos of 2 pi x for |x| <= 1/2: Taylor polynomials of the half angle, then doubled.
template <class F>
SONORAY_HD SONORAY_INLINE void sincos_turns(F x, F& sine, F& cosine) {
  const F h = x * 3.14159265358979f, q = h * h;
  const F s =
      h +
      h * q * (-1.6666667e-1f + q * (8.3333310e-3f + q * (-1.9840874e-4f + q * (2.7525562e-6f - q * 2.3889859e-8f))));
  const F c = 1.0f + q * (-0.5f + q * (4.1666638e-2f + q * (-1.3888378e-3f + q * (2.4760495e-5f - q * 2.6051615e-7f))));
  sine = 2.0f * s * c;
  cosine = 1.0f - 2.0f * s * s;
}

/// exp(x), within 3e-7 of it; 0 below -87.
template <class F>
SONORAY_HD SONORAY_INLINE F exponential(F x) {
  if constexpr (lanes_of<F> == 1) {
#if defined(__CUDA_ARCH__)
    return expf(x);
#else
    return __builtin_expf(x);
#endif
  } else {
#if !defined(__CUDACC__)
    const F zero = F{}, low = zero - 87.0f, high = zero + 88.0f;
    const F safe = x < low ? low : x > high ? high : x, whole = nearest(safe * 1.44269504f);
    const F f = (safe - whole * 0.693145752f) - whole * 1.42860677e-6f;  // ln 2 in two parts
    const F series =
        1.0f +
        f * (1.0f + f * (0.5f + f * (1.6666667e-1f + f * (4.1666667e-2f + f * (8.3333333e-3f + f * 1.3888889e-3f)))));
    const F power = reinterpret_cast<F>((to_int(whole) + 127) << 23);
    return x < low ? zero : series * power;
#endif
  }
}

/// p[i] of every lane.
template <class F>
SONORAY_HD SONORAY_INLINE F gather(const float* p, int_of<F> i) {
  if constexpr (lanes_of<F> == 1) {
    return p[i];
  } else {
#if !defined(__CUDACC__)
    F r;
    for (int l = 0; l < lanes_of<F>; ++l) r[l] = p[i[l]];
    return r;
#endif
  }
}

/// p[i] and p[i + 1] of every lane.
template <class F>
SONORAY_HD SONORAY_INLINE void gather_pair(const float* p, int_of<F> i, F& a, F& b) {
#if !defined(__CUDACC__) && defined(__AVX2__)
  if constexpr (lanes_of<F> == 8) {  // eight 64-bit loads instead of sixteen gathered floats
    __m128 pairs[4];
    for (int j = 0; j < 4; ++j) {
      const __m128 low = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i[2 * j])));
      pairs[j] = _mm_loadh_pi(low, reinterpret_cast<const __m64*>(p + i[2 * j + 1]));
    }
    a = reinterpret_cast<F>(
        _mm256_set_m128(_mm_shuffle_ps(pairs[2], pairs[3], 0x88), _mm_shuffle_ps(pairs[0], pairs[1], 0x88)));
    b = reinterpret_cast<F>(
        _mm256_set_m128(_mm_shuffle_ps(pairs[2], pairs[3], 0xdd), _mm_shuffle_ps(pairs[0], pairs[1], 0xdd)));
    return;
  }
#endif
  a = gather<F>(p, i);
  b = gather<F>(p + 1, i);
}

#if !defined(__CUDACC__)

// Not memcpy: the compiler would take its stores for writes to anything, pointers included.
template <class F>
SONORAY_INLINE F load(const float* p) {
  return *reinterpret_cast<const typename Lanes<lanes_of<F>>::Unaligned*>(p);
}

template <class F>
SONORAY_INLINE void store(float* p, F x) {
  *reinterpret_cast<typename Lanes<lanes_of<F>>::Unaligned*>(p) = x;
}

template <class F>
SONORAY_INLINE float smallest(F x) {
#if defined(__SSE2__)
  if constexpr (lanes_of<F> == 8) {
    __m128 h[2];
    std::memcpy(h, &x, sizeof h);
    const __m128 a = _mm_min_ps(h[0], h[1]), b = _mm_min_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_min_ss(b, _mm_shuffle_ps(b, b, 1)));
  }
#endif
  if constexpr (lanes_of<F> == 16) {
    Float<8> half[2];
    std::memcpy(half, &x, sizeof half);
    return smallest(half[0] < half[1] ? half[0] : half[1]);
  }
  float r = x[0];
  for (int l = 1; l < lanes_of<F>; ++l) r = x[l] < r ? x[l] : r;
  return r;
}

template <class F>
SONORAY_INLINE float largest(F x) {
  return -smallest<F>(-x);
}

/// Lane j: the smallest lane of v[j], for eight vectors of eight, by pairwise minima and transposition.
SONORAY_INLINE void smallest_of_each(const Float<8>* v, Float<8>& result) {
  Float<8> m[4], n[2];
  for (int i = 0; i < 4; ++i) {
    const Float<8> a = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    const Float<8> b = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    m[i] = a < b ? a : b;
  }
  for (int i = 0; i < 2; ++i) {
    const Float<8> a = __builtin_shufflevector(m[2 * i], m[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13);
    const Float<8> b = __builtin_shufflevector(m[2 * i], m[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    n[i] = a < b ? a : b;
  }
  const Float<8> a = __builtin_shufflevector(n[0], n[1], 0, 1, 2, 3, 8, 9, 10, 11);
  const Float<8> b = __builtin_shufflevector(n[0], n[1], 4, 5, 6, 7, 12, 13, 14, 15);
  result = a < b ? a : b;
}

/// The smallest and the largest lane of each of eight vectors.
template <class F>
SONORAY_INLINE void range_of_each(const F* v, Float<8>& low, Float<8>& high) {
  Float<8> least[8], most[8];
  for (int j = 0; j < 8; ++j) {
    if constexpr (lanes_of<F> == 8) {
      least[j] = v[j];
      most[j] = -v[j];
    } else {
      Float<8> half[2];
      static_assert(sizeof half == sizeof v[j], "eight or sixteen lanes");
      std::memcpy(half, &v[j], sizeof half);
      least[j] = half[0] < half[1] ? half[0] : half[1];
      most[j] = half[0] > half[1] ? -half[0] : -half[1];
    }
  }
  smallest_of_each(least, low);
  smallest_of_each(most, high);
  high = -high;
}

/// p[i] of every lane, 0 <= i < W. May read p[0] to p[W - 1].
template <class F>
SONORAY_INLINE F window1(const float* p, int_of<F> i) {
#if defined(__AVX512F__)
  if constexpr (lanes_of<F> == 16) {
    return reinterpret_cast<F>(_mm512_maskz_permutexvar_ps(0xffff, reinterpret_cast<__m512i>(i), _mm512_loadu_ps(p)));
  }
#endif
#if defined(__AVX2__)
  if constexpr (lanes_of<F> == 8) {
    return reinterpret_cast<F>(_mm256_permutevar8x32_ps(_mm256_loadu_ps(p), reinterpret_cast<__m256i>(i)));
  }
#endif
  return gather<F>(p, i);
}

/// p[i] of every lane, 0 <= i < 2 W. May read p[0] to p[2 W - 1].
template <class F>
SONORAY_INLINE F window2(const float* p, int_of<F> i) {
#if defined(__AVX512F__)
  if constexpr (lanes_of<F> == 16) {
    return reinterpret_cast<F>(
        _mm512_permutex2var_ps(_mm512_loadu_ps(p), reinterpret_cast<__m512i>(i), _mm512_loadu_ps(p + 16)));
  }
#endif
#if defined(__AVX2__)
  if constexpr (lanes_of<F> == 8) {
    const __m256i index = reinterpret_cast<__m256i>(i);
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), index);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + 8), index);
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));  // bit 3 becomes the sign that blends
    return reinterpret_cast<F>(_mm256_blendv_ps(low, high, upper));
  }
#endif
  return gather<F>(p, i);
}

#endif

}  // namespace sonoray::simd
