#pragma once
// One point on its way to the screen.
#include <cmath>
#include <cstdint>

#include "core/exec.h"

namespace sonoray::display_kernel {

/// What is detected at point i of an image of pairs, of magnitudes already, or (else) of RF with its envelope.
SONORAY_HD inline float magnitude(const float* image, const float* envelope, std::int64_t i, bool complex_values,
                                  bool detected) {
  if (complex_values) {
    const float re = image[2 * i], im = image[2 * i + 1];
    return sqrtf(re * re + im * im);
  }
  return detected ? fabsf(image[i]) : envelope[i];
}

/// 20 log10(envelope / reference), clipped to [-dynamic_range, 0]; `floor` is 10^(-dynamic_range / 20). Without a
/// reference (an image of zeros) all is dark.
SONORAY_HD inline float decibels(float envelope, float reference, float floor, float dynamic_range) {
  if (!(reference > 0.0f)) return -dynamic_range;
  const float ratio = envelope / reference;
  if (ratio <= floor) return -dynamic_range;
  if (ratio >= 1.0f) return 0.0f;
  return 20.0f * log10f(ratio);
}

/// -dynamic_range to 0 dB as 0 to 255.
SONORAY_HD inline std::uint8_t grey(float decibels, float dynamic_range) {
  float level = (decibels / dynamic_range + 1.0f) * 255.0f;
  level = level > 0.0f ? level : 0.0f;
  level = level < 255.0f ? level : 255.0f;
  return static_cast<std::uint8_t>(rintf(level));
}

/// Where a point of the display lies in the image: lower node, fractions along rows and columns; -1: outside.
struct Place {
  std::int32_t node;
  float row, column;
};

/// Bilinear interpolation in an image of `n_columns`.
SONORAY_HD inline float sample(const float* image, std::int64_t n_columns, const Place& at) {
  const float* low = image + at.node;
  const float* high = low + n_columns;
  const float a = low[0] + at.column * (low[1] - low[0]), b = high[0] + at.column * (high[1] - high[0]);
  return a + at.row * (b - a);
}

}  // namespace sonoray::display_kernel
