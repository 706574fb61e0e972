#pragma once
// What must hold before any schedule reads memory, on either place.
#include <string>

#include "beamforming/das.h"
#include "beamforming/das_levels.h"
#include "core/error.h"

namespace sonoray {

inline std::string das_shape(const std::int64_t* shape, int n) {
  std::string text = "(";
  for (int d = 0; d < n; ++d) text += (d ? ", " : "") + std::to_string(shape[d]);
  return text + ")";
}

inline void check_das(const DasProblem& p) {
  const std::int64_t n = p.points.shape[0], n_tx = p.tx_time.shape[0], n_rx = p.elements.shape[0];
  require(n > 0 && p.points.shape[1] == 3, "points: expected shape (n_points, 3), got " + das_shape(p.points.shape, 2));
  require(p.n_rows > 0 && p.n_columns > 0 && p.n_rows * p.n_columns == n,
          "n_rows, n_columns: expected a table of " + std::to_string(n) + " points");
  require(n_rx > 0 && p.elements.shape[1] == 3,
          "elements: expected shape (n_rx, 3), got " + das_shape(p.elements.shape, 2));
  require(p.normals.shape[0] == n_rx && p.normals.shape[1] == 3,
          "normals: expected the shape of elements, got " + das_shape(p.normals.shape, 2));
  require(n_tx > 0 && p.tx_time.shape[1] == n,
          "tx_time: expected shape (n_tx, n_points), got " + das_shape(p.tx_time.shape, 2));
  require(!p.tx_weight || (p.tx_weight.shape[0] == n_tx && p.tx_weight.shape[1] == n),
          "tx_weight: expected the shape of tx_time, got " + das_shape(p.tx_weight.shape, 2));
  require(p.start.shape[0] == n_tx && p.start.shape[1] == 2,
          "start: expected shape (n_tx, 2), got " + das_shape(p.start.shape, 2));
  require(!p.lines || (p.lines.shape[0] == n_rx && p.lines.shape[1] == 3),
          "lines: expected the shape of elements, got " + das_shape(p.lines.shape, 2));
  require(!p.axes || ((p.axes.shape[0] == 1 || p.axes.shape[0] == n_tx) && p.axes.shape[1] == 4),
          "axes: expected shape (1 or n_tx, 4), got " + das_shape(p.axes.shape, 2));
  require(!p.rx_weight || ((p.rx_weight.shape[0] == 1 || p.rx_weight.shape[0] == n_tx) && p.rx_weight.shape[1] == n_rx),
          "rx_weight: expected shape (1 or n_tx, n_rx), got " + das_shape(p.rx_weight.shape, 2));
  require(!p.window || (p.window.shape[0] > 1 && p.window.shape[0] <= 65536),
          "window: expected 2 to 65536 values, got " + das_shape(p.window.shape, 1));
  require(p.lens_thickness >= 0.0f && p.lens_thickness <= 0.1f && (p.lens_thickness == 0.0f || p.lens_slowness > 0.0f),
          "lens_thickness, lens_slowness: expected up to 0.1 m and a positive number in s/m");
  if (p.rx_slowness) {
    const std::int64_t* s = p.rx_slowness.shape;
    require(s[0] == n_rx && s[1] > 0 && s[2] > 0 && s[3] > 0 && s[1] < 65536 && s[2] < 65536 && s[3] < 65536 &&
                s[1] * s[2] * s[3] < (std::int64_t(1) << 31),
            "rx_slowness: expected shape (n_rx, n_x, n_y, n_z), got " + das_shape(s, 4));
  } else {
    require(p.slowness > 0.0f, "slowness: expected a positive number in s/m, got " + std::to_string(p.slowness));
  }
  require(p.sampling_frequency > 0.0f, "sampling_frequency: expected a positive number in Hz");
  require(p.lanes == 0 || p.lanes == 8 || p.lanes == 16, "lanes: expected 0, 8 or 16, got " + std::to_string(p.lanes));
}

/// The longest time that an echo can take from any point to any element must be a number of samples that floats count.
/// Reads all points: for host arrays.
void check_times(const DasProblem& p);

inline void check_das_samples(std::int64_t n_samples) {
  require(n_samples > 0 && n_samples <= (1 << 22),
          "samples: expected 1 to 4194304 samples per trace, got " + std::to_string(n_samples));
}

/// The four axes of `samples`, whose sample type must suit the problem.
inline DasRecord das_record(const DasProblem& p, const Strided& s) {
  const bool iq = p.demodulation_frequency > 0.0f, pair = s.n_axes == 5;
  DasRecord r{};
  if (s.kind == 'c' && s.item_size == 8)
    r.type = DasSample::complex64;
  else if (s.kind == 'f' && s.item_size == 4)
    r.type = DasSample::float32;
  else if (s.kind == 'i' && s.item_size == 2)
    r.type = pair ? DasSample::int16_pair : DasSample::int16;
  else
    throw ArgumentError("samples: expected int16, float32 or complex64");
  require(s.n_axes == 4 || (pair && r.type == DasSample::int16_pair && s.shape[4] == 2 && s.stride[4] == 2),
          "samples: expected shape (n_frames, n_tx, n_rx, n_samples), or int16 pairs on a last, contiguous axis of 2, "
          "got " +
              das_shape(s.shape, s.n_axes));
  require(iq == (r.type == DasSample::complex64 || r.type == DasSample::int16_pair),
          iq ? "samples: expected complex64 or pairs of int16 for a beamformer of I/Q data"
             : "samples: expected int16 or float32 for a beamformer of RF data");
  require(s.shape[1] == p.tx_time.shape[0] && s.shape[2] == p.elements.shape[0],
          "samples: expected " + std::to_string(p.tx_time.shape[0]) + " transmits and " +
              std::to_string(p.elements.shape[0]) + " elements, got " + das_shape(s.shape, s.n_axes));
  check_das_samples(s.shape[3]);
  r.data = static_cast<const char*>(s.data);
  r.n_frames = s.shape[0];
  r.n_samples = s.shape[3];
  r.frame = s.stride[0];
  r.tx = s.stride[1];
  r.rx = s.stride[2];
  r.sample = s.stride[3];
  return r;
}

}  // namespace sonoray
