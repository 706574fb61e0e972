// Rows of image points, vectorised over the sources; compiled once per processor level.
#include "inversion/born_kernel.h"
#include "inversion/born_levels.h"

namespace sonoray::SONORAY_LEVEL {

namespace {

#if defined(SONORAY_LEVEL_v4)
constexpr int width = 16;
#else
constexpr int width = 8;
#endif
using Lanes = simd::Float<width>;
using Complex = std::complex<float>;

/// (re, im) pairs of W numbers.
SONORAY_INLINE void put(float* out, Lanes re, Lanes im) {
#if defined(SONORAY_LEVEL_v4)
  const Lanes low = __builtin_shufflevector(re, im, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const Lanes high = __builtin_shufflevector(re, im, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#else
  const Lanes low = __builtin_shufflevector(re, im, 0, 8, 1, 9, 2, 10, 3, 11);
  const Lanes high = __builtin_shufflevector(re, im, 4, 12, 5, 13, 6, 14, 7, 15);
#endif
  simd::store(out, low);
  simd::store(out + width, high);
}

SONORAY_INLINE void put(float* out, float re, float im) {
  out[0] = re;
  out[1] = im;
}

template <class F, bool Coarse, bool Weighted, bool Directed>
SONORAY_INLINE void put_wave(const BornWaves& w, const born_kernel::Rows& rows, float x, float z, float re, float im,
                             float* out, std::int64_t plane, std::int64_t s) {
  const auto v = born_kernel::wave<F, Coarse, Weighted, Directed>(w, rows, x, z, s);
  const F real = v.real * re - v.imaginary * im, imaginary = v.real * im + v.imaginary * re;
  put(out + 2 * s, real, imaginary);
  if constexpr (Directed) {
    put(out + plane + 2 * s, real * v.x, imaginary * v.x);
    put(out + 2 * plane + 2 * s, real * v.z, imaginary * v.z);
  }
}

template <bool Coarse, bool Weighted, bool Directed>
void rows_of_waves(const BornWaves& waves, const View<Complex, 3>& view, std::int64_t begin, std::int64_t end) {
  const BornWaves w = waves;  // a copy that no store can reach, so that its members stay in registers
  const std::int64_t n_sources = view.shape[2], plane = 2 * view.shape[1] * n_sources;
  for (std::int64_t p = begin; p < end; ++p) {
    const float x = w.points.data[p], z = w.points.data[view.shape[1] + p];
    const born_kernel::Rows rows = born_kernel::rows_of(w.fields, p, x, z);
    const float* scale = reinterpret_cast<const float*>(w.scale.data + p);
    float* out = reinterpret_cast<float*>(view.data + p * n_sources);
    std::int64_t s = 0;
    for (; s + width <= n_sources; s += width)
      put_wave<Lanes, Coarse, Weighted, Directed>(w, rows, x, z, scale[0], scale[1], out, plane, s);
    if (s < n_sources && n_sources >= width) {  // the last vector overlaps the one before
      put_wave<Lanes, Coarse, Weighted, Directed>(w, rows, x, z, scale[0], scale[1], out, plane, n_sources - width);
    } else {
      for (; s < n_sources; ++s)
        put_wave<float, Coarse, Weighted, Directed>(w, rows, x, z, scale[0], scale[1], out, plane, s);
    }
  }
}

template <bool Coarse>
void pick(const BornWaves& w, const View<Complex, 3>& out, std::int64_t begin, std::int64_t end) {
  if (out.shape[0] == 3) {
    rows_of_waves<Coarse, true, true>(w, out, begin, end);
  } else if (w.facing) {
    rows_of_waves<Coarse, true, false>(w, out, begin, end);
  } else {
    rows_of_waves<Coarse, false, false>(w, out, begin, end);
  }
}

/// Swaps real and imaginary parts.
SONORAY_INLINE Lanes swapped(Lanes x) {
#if defined(SONORAY_LEVEL_v4)
  return __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
#else
  return __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6);
#endif
}

}  // namespace

void born_rows(const BornWaves& w, const View<Complex, 3>& out, std::int64_t begin, std::int64_t end) {
  if (w.fields.shape[0]) {
    pick<true>(w, out, begin, end);
  } else {
    pick<false>(w, out, begin, end);
  }
}

void born_dots(const View<const Complex, 3>& a, const View<const Complex, 3>& b, const float* factor, Complex* out,
               std::int64_t begin, std::int64_t end) {
  const std::int64_t n = 2 * a.shape[2], plane = n * a.shape[1];
  for (std::int64_t p = begin; p < end; ++p) {
    double real = 0.0, imaginary = 0.0;
    for (std::int64_t q = 0; q < a.shape[0]; ++q) {
      const float* x = reinterpret_cast<const float*>(a.data) + q * plane + p * n;
      const float* y = reinterpret_cast<const float*>(b.data) + q * plane + p * n;
      // x y has the parts xr yr - xi yi and xr yi + xi yr: products lane by lane, and with one factor's parts swapped.
      Lanes straight = {}, crossed = {};
      std::int64_t i = 0;
      for (; i + width <= n; i += width) {
        const Lanes u = simd::load<Lanes>(x + i), v = simd::load<Lanes>(y + i);
        straight += u * v;
        crossed += u * swapped(v);
      }
      float re = 0.0f, im = 0.0f;
      for (int l = 0; l < width; l += 2) {
        re += straight[l] - straight[l + 1];
        im += crossed[l] + crossed[l + 1];
      }
      for (; i < n; i += 2) {
        re += x[i] * y[i] - x[i + 1] * y[i + 1];
        im += x[i] * y[i + 1] + x[i + 1] * y[i];
      }
      real += factor[q] * re;
      imaginary += factor[q] * im;
    }
    float* to = reinterpret_cast<float*>(out + p);
    to[0] = static_cast<float>(real);
    to[1] = static_cast<float>(imaginary);
  }
}

}  // namespace sonoray::SONORAY_LEVEL
