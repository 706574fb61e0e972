// The schedule over frames, for data whose frames lie next to each other in memory: every point, transmit and element
// has one index and one weight for all frames, so the inner loop reads and adds whole vectors of frames.
#include <cstring>

#include "beamforming/das_kernel.h"
#include "beamforming/das_levels.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

constexpr int W = 8;
using F = simd::Float<W>;

/// Where one element's taps start and what they weigh, for every point of a tile.
struct Echoes {
  alignas(64) float x[das_chunk], y[das_chunk], z[das_chunk];
  alignas(64) float tx[das_chunk], tx_real[das_chunk], tx_imaginary[das_chunk];
  alignas(64) float index[das_chunk], real[das_chunk], imaginary[das_chunk];
  std::int64_t point[das_chunk];
  int n;
};

SONORAY_INLINE void place_points(const DasProblem& p, const DasTiles& tiles, std::int64_t tile, Echoes& c) {
  const std::int64_t row = tile / tiles.across * tiles.blocks, column = tile % tiles.across * tiles.columns;
  c.n = 0;
  for (std::int64_t i = row; i < row + tiles.blocks && i < tiles.n_rows; ++i)
    for (std::int64_t j = column; j < column + tiles.columns && j < tiles.n_columns; ++j)
      c.point[c.n++] = i * tiles.n_columns + j;
  for (int i = 0; i < das_chunk && i < (c.n + W - 1) / W * W; ++i) {
    const float* at = p.points.data + 3 * c.point[i < c.n ? i : c.n - 1];
    c.x[i] = at[0];
    c.y[i] = at[1];
    c.z[i] = at[2];
  }
}

SONORAY_INLINE void transmit(const DasProblem& p, std::int64_t t, Echoes& c) {
  const std::int64_t row = t * p.tx_time.shape[1];
  for (int i = 0; i < c.n; i += W) {
    F time = F(), weight = F() + 1.0f, imaginary = F() + 0.0f;
    for (int l = 0; l < W; ++l) {
      const std::int64_t at = row + c.point[i + l < c.n ? i + l : c.n - 1];
      time[l] = p.tx_time.data[at];
      if (p.tx_weight.data) weight[l] = p.tx_weight.data[at];
    }
    simd::store(c.tx + i, das_kernel::transmit_samples(p, t, time));
    if (p.demodulation_frequency > 0.0f) {
      F real;
      das_kernel::phasor(time, p.demodulation_frequency, real, imaginary);
      imaginary *= weight;
      weight *= real;
    }
    simd::store(c.tx_real + i, weight);
    simd::store(c.tx_imaginary + i, imaginary);
  }
}

SONORAY_INLINE void receive(const DasProblem& p, std::int64_t t, std::int64_t e, Echoes& c) {
  for (int i = 0; i < c.n; i += W) {
    const F x = simd::load<F>(c.x + i), y = simd::load<F>(c.y + i), z = simd::load<F>(c.z + i);
    das_kernel::Cell<F> cell{};
    if (p.rx_slowness.data) cell = das_kernel::find_cell(p, x, y, z);
    const auto path = das_kernel::receive_path(p, t, e, x, y, z);
    const F time = das_kernel::receive_time(p, e, path, cell);
    simd::store(c.index + i, simd::load<F>(c.tx + i) + das_kernel::receive_samples(p, time));
    F real = F() + 1.0f, imaginary = F() + 0.0f;
    if (p.demodulation_frequency > 0.0f) das_kernel::phasor(time, p.demodulation_frequency, real, imaginary);
    real *= path.weight;
    imaginary *= path.weight;
    const F c_tx = simd::load<F>(c.tx_real + i), s_tx = simd::load<F>(c.tx_imaginary + i);
    simd::store(c.real + i, real * c_tx - imaginary * s_tx);
    simd::store(c.imaginary + i, real * s_tx + imaginary * c_tx);
  }
}

/// W numbers of consecutive frames of one sample.
template <class T>
SONORAY_INLINE F read(const char* from) {
  if constexpr (sizeof(T) == 4) {
    return simd::load<F>(reinterpret_cast<const float*>(from));
  } else {
    F r = F();
    for (int l = 0; l < W; ++l) r[l] = static_cast<float>(reinterpret_cast<const T*>(from)[l]);
    return r;
  }
}

/// Adds one echo to all its numbers (frames, times two for I/Q). Real and imaginary parts of the frames alternate, so
/// `a` sums with the real weight, `b` with the imaginary one, and both are combined at the end.
template <class T, bool IQ, int TAPS>
SONORAY_INLINE void add_echo(const DasRecord& r, const char* trace, float index, float real, float imaginary,
                             std::int64_t numbers, float* a, float* b) {
  const float whole = __builtin_floorf(index);
  float weight[TAPS];
  das_kernel::tap_weights<TAPS>(index - whole, weight);
  const std::int64_t first = static_cast<std::int64_t>(whole) + das_kernel::first_tap<TAPS>;
  for (int tap = 0; tap < TAPS; ++tap) {
    if (first + tap < 0 || first + tap >= r.n_samples) continue;
    const char* at = trace + (first + tap) * r.sample;
    const float c = weight[tap] * real, s = weight[tap] * imaginary;
    std::int64_t i = 0;
    for (; i + W <= numbers; i += W) {
      const F value = read<T>(at + i * sizeof(T));
      simd::store(a + i, simd::load<F>(a + i) + value * c);
      if (IQ) simd::store(b + i, simd::load<F>(b + i) + value * s);
    }
    for (; i < numbers; ++i) {
      const float value = static_cast<float>(reinterpret_cast<const T*>(at)[i]);
      a[i] += value * c;
      if (IQ) b[i] += value * s;
    }
  }
}

/// The same for linear interpolation inside the record and whole vectors: both taps in one pass.
template <class T, bool IQ>
SONORAY_INLINE void add_inside(const DasRecord& r, const char* trace, float index, float real, float imaginary,
                               std::int64_t numbers, float* a, float* b) {
  const auto whole = static_cast<std::int32_t>(index);
  const float f = index - static_cast<float>(whole);
  const float c1 = f * real, s1 = f * imaginary, c0 = real - c1, s0 = imaginary - s1;
  const char *low = trace + whole * r.sample, *high = low + r.sample;
  for (std::int64_t i = 0; i < numbers; i += W) {
    const F u = read<T>(low + i * sizeof(T)), v = read<T>(high + i * sizeof(T));
    simd::store(a + i, simd::load<F>(a + i) + u * c0 + v * c1);
    if (IQ) simd::store(b + i, simd::load<F>(b + i) + u * s0 + v * s1);
  }
}

template <class T, bool IQ, int TAPS>
void add_element(const DasRecord& r, const char* trace, const Echoes& c, float* sums) {
  const std::int64_t numbers = r.n_frames * (IQ ? 2 : 1), stride = numbers * (IQ ? 2 : 1);
  const auto last = static_cast<float>(r.n_samples - 1);
  for (int i = 0; i < c.n; ++i) {
    if (c.real[i] == 0.0f && c.imaginary[i] == 0.0f) continue;
    float *a = sums + i * stride, *b = a + (IQ ? numbers : 0);
    if (TAPS == 2 && numbers % W == 0 && c.index[i] >= 0.0f && c.index[i] < last) {
      add_inside<T, IQ>(r, trace, c.index[i], c.real[i], c.imaginary[i], numbers, a, b);
    } else {
      add_echo<T, IQ, TAPS>(r, trace, c.index[i], c.real[i], c.imaginary[i], numbers, a, b);
    }
  }
}

template <class T, bool IQ>
SONORAY_INLINE void add_any(const DasProblem& p, const DasRecord& r, const char* trace, const Echoes& c, float* sums) {
  if (p.cubic) {
    add_element<T, IQ, 4>(r, trace, c, sums);
  } else {
    add_element<T, IQ, 2>(r, trace, c, sums);
  }
}

/// Adds the sums of one image to the output, or their magnitudes.
void write(const DasProblem& p, const DasRecord& r, const Echoes& c, std::int64_t image_index, std::int64_t images,
           bool iq, const float* sums, float* image) {
  const std::int64_t numbers = r.n_frames * (iq ? 2 : 1), n = p.points.shape[0];
  for (std::int64_t f = 0; f < r.n_frames; ++f) {
    float* to = image + (f * images + image_index) * n * (iq && p.compounding != Compounding::incoherent ? 2 : 1);
    for (int i = 0; i < c.n; ++i) {
      const float* a = sums + i * numbers * (iq ? 2 : 1);
      const float* b = a + numbers;
      const float real = iq ? a[2 * f] - b[2 * f + 1] : a[f], imaginary = iq ? a[2 * f + 1] + b[2 * f] : 0.0f;
      if (p.compounding == Compounding::incoherent) {
        to[c.point[i]] += iq ? __builtin_sqrtf(real * real + imaginary * imaginary) : __builtin_fabsf(real);
      } else if (iq) {
        to[2 * c.point[i]] = real;
        to[2 * c.point[i] + 1] = imaginary;
      } else {
        to[c.point[i]] = real;
      }
    }
  }
}

}  // namespace

void das_frame_tile(const DasProblem& p, const DasTiles& tiles, const DasRecord& r, std::int64_t tile, float* image,
                    float* scratch) {
  Echoes c;
  place_points(p, tiles, tile, c);
  const bool iq = r.type == DasSample::int16_pair || r.type == DasSample::complex64;
  const std::int64_t n_tx = p.tx_time.shape[0], size = c.n * r.n_frames * (iq ? 4 : 1);
  const bool coherent = p.compounding == Compounding::coherent;
  std::memset(scratch, 0, size * sizeof(float));
  if (p.compounding == Compounding::incoherent) {
    for (std::int64_t f = 0; f < r.n_frames; ++f)
      for (int i = 0; i < c.n; ++i) image[f * p.points.shape[0] + c.point[i]] = 0.0f;
  }
  for (std::int64_t t = 0; t < n_tx; ++t) {
    transmit(p, t, c);
    for (std::int64_t e = 0; e < p.elements.shape[0]; ++e) {
      receive(p, t, e, c);
      const char* trace = r.data + t * r.tx + e * r.rx;
      switch (r.type) {
        case DasSample::int16:
          add_any<std::int16_t, false>(p, r, trace, c, scratch);
          break;
        case DasSample::float32:
          add_any<float, false>(p, r, trace, c, scratch);
          break;
        case DasSample::int16_pair:
          add_any<std::int16_t, true>(p, r, trace, c, scratch);
          break;
        case DasSample::complex64:
          add_any<float, true>(p, r, trace, c, scratch);
          break;
      }
    }
    if (coherent) continue;
    write(p, r, c, p.compounding == Compounding::none ? t : 0, p.compounding == Compounding::none ? n_tx : 1, iq,
          scratch, image);
    std::memset(scratch, 0, size * sizeof(float));
  }
  if (coherent) write(p, r, c, 0, 1, iq, scratch, image);
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray
