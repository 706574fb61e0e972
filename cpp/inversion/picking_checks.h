#pragma once
// What must hold before a trace is read, the same on the host and on CUDA.
#include <cmath>
#include <string>

#include "core/error.h"
#include "inversion/picking.h"

namespace sonoray::picking {

/// The samples of one trace, whatever their type.
struct RawTrace {
  const char* data;
  std::int64_t stride;
  bool integer;

  SONORAY_HD double operator()(std::int64_t i) const {
    const char* const p = data + i * stride;
    return integer ? double(*reinterpret_cast<const std::int16_t*>(p)) : double(*reinterpret_cast<const float*>(p));
  }
};

SONORAY_HD inline RawTrace raw_trace(const Strided& s, std::int64_t tx, std::int64_t rx) {
  return {static_cast<const char*>(s.data) + tx * s.stride[0] + rx * s.stride[1], s.stride[2], s.kind == 'i'};
}

inline void check_samples(const Strided& s, std::int64_t n_tx, std::int64_t n_rx) {
  const bool integer = s.kind == 'i' && s.item_size == 2, real = s.kind == 'f' && s.item_size == 4;
  require(integer || real, "samples: expected int16 or float32");
  require(s.n_axes == 3 && s.shape[0] == n_tx && s.shape[1] == n_rx && s.shape[2] >= 8 && s.shape[2] <= (1 << 22),
          "samples: expected shape (n_tx, n_rx, n_samples) with 8 to 4194304 samples per trace");
}

inline void check_picking(const PickParams& p, const Strided& s, View<const double, 2> first,
                          View<const double, 2> last, View<double, 2> at, View<float, 2> quality,
                          View<std::uint8_t, 2> status) {
  check_samples(s, first.shape[0], first.shape[1]);
  const auto same = [&](const std::int64_t* shape) { return shape[0] == first.shape[0] && shape[1] == first.shape[1]; };
  require(same(last.shape) && same(at.shape) && same(quality.shape) && same(status.shape),
          "first, last, at, quality, status: expected one shape (n_tx, n_rx)");
  require(p.taper >= 0 && p.taper <= 1 && p.threshold >= 0 && p.threshold < 1 && p.ratio > 0 && p.ratio <= 1,
          "taper, threshold, ratio: expected parts of one");
  require(p.silence > 0 && p.silence < 1, "silence: expected a part of one");
  const double n = double(s.shape[2]);
  require(p.duration >= 1 && p.duration <= n && p.short_window >= 1 && p.short_window <= n && p.long_window >= 1 &&
              p.long_window <= n,
          "duration, short_window, long_window: expected 1 sample to the whole record");
  require(p.minimum_contrast >= 0 && std::isfinite(p.minimum_contrast), "minimum_contrast: expected a positive number");
}

}  // namespace sonoray::picking
