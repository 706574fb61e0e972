#pragma once
// Copies part of a trace into float arrays, with zeros outside the record.
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "beamforming/das_levels.h"
#include "core/exec.h"

namespace sonoray {
namespace {  // every file its own copy: this is compiled for several processors

template <class T>
void copy_real(const char* from, std::int64_t stride, std::int64_t n, float* to) {
  if (stride == static_cast<std::int64_t>(sizeof(T))) {
    for (std::int64_t i = 0; i < n; ++i) {
      T value;
      std::memcpy(&value, from + i * sizeof(T), sizeof(T));
      to[i] = static_cast<float>(value);
    }
  } else {
    for (std::int64_t i = 0; i < n; ++i) {
      T value;
      std::memcpy(&value, from + i * stride, sizeof(T));
      to[i] = static_cast<float>(value);
    }
  }
}

template <class T>
void copy_pairs(const char* from, std::int64_t stride, std::int64_t n, float* real, float* imaginary) {
  if (stride == static_cast<std::int64_t>(2 * sizeof(T))) {
    for (std::int64_t i = 0; i < n; ++i) {
      T value[2];
      std::memcpy(value, from + i * 2 * sizeof(T), sizeof value);
      real[i] = static_cast<float>(value[0]);
      imaginary[i] = static_cast<float>(value[1]);
    }
  } else {
    for (std::int64_t i = 0; i < n; ++i) {
      T value[2];
      std::memcpy(value, from + i * stride, sizeof value);
      real[i] = static_cast<float>(value[0]);
      imaginary[i] = static_cast<float>(value[1]);
    }
  }
}

/// Samples [from, until) of the trace at `trace`, to real (and imaginary).
inline void stage_trace(const DasRecord& r, const char* trace, std::int64_t from, std::int64_t until, float* real,
                        float* imaginary) {
  if (from >= 0 && until <= r.n_samples && r.type == DasSample::float32 && r.sample == 4) {  // the usual case
    return copy_real<float>(trace + 4 * from, 4, until - from, real);
  }
  const bool pairs = r.type == DasSample::int16_pair || r.type == DasSample::complex64;
  const std::int64_t a = from > 0 ? from : 0, b = until < r.n_samples ? until : r.n_samples;
  const std::int64_t first = a < until ? a - from : until - from;  // zeros before the record
  const std::int64_t last = b > a ? b - from : first;              // zeros from here on
  for (float* to : {real, imaginary}) {
    if (to == imaginary && !pairs) break;
    std::memset(to, 0, first * sizeof(float));
    std::memset(to + last, 0, (until - from - last) * sizeof(float));
  }
  if (b <= a) return;
  const char* source = trace + a * r.sample;
  switch (r.type) {
    case DasSample::int16:
      copy_real<std::int16_t>(source, r.sample, b - a, real + first);
      break;
    case DasSample::float32:
      copy_real<float>(source, r.sample, b - a, real + first);
      break;
    case DasSample::int16_pair:
      copy_pairs<std::int16_t>(source, r.sample, b - a, real + first, imaginary + first);
      break;
    case DasSample::complex64:
      copy_pairs<float>(source, r.sample, b - a, real + first, imaginary + first);
      break;
  }
}

}  // namespace
}  // namespace sonoray
