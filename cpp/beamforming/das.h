#pragma once
#include <cstdint>

#include "core/exec.h"
#include "core/strided.h"
#include "core/view.h"

namespace sonoray {

enum class Compounding { coherent = 0, incoherent = 1, none = 2 };

/// Delay and sum: at point p
///   image(p) = sum over t, e of w_t(p) a(e, p) s_te(t_t(p) + |p - e| n(e, p)) exp(2 pi i f (same time)),
/// with s interpolated from the samples, which are zero outside the record, and the phase only for I/Q.
struct DasProblem {
  std::int64_t n_rows, n_columns;    ///< the points as a table; neighbours in a column arrive at similar times
  View<const float, 2> points;       ///< (n_rows * n_columns, 3) [m]
  View<const float, 2> elements;     ///< (n_rx, 3) [m]
  View<const float, 2> normals;      ///< (n_rx, 3) unit vectors
  View<const float, 2> lines;        ///< (n_rx, 3) [m] from the centre of a long element to its end; null: points
  View<const float, 2> tx_time;      ///< (n_tx, n_points) [s]
  View<const float, 2> tx_weight;    ///< (n_tx, n_points), or null for ones
  View<const float, 2> start;        ///< (n_tx, 2) [samples] time of the first sample: whole part, rest
  View<const float, 4> rx_slowness;  ///< (n_rx, n_x, n_y, n_z) [s/m] mean slowness, or null: `slowness`
  float table_origin[3];             ///< [m] first node of the table
  float table_rate[3];               ///< [1/m] nodes per metre; 0 on an axis of one node
  View<const float, 2> axes;         ///< (1 or n_tx, 4) axis of the aperture: w point - (x, y, z); null: the normals
  View<const float, 2> rx_weight;    ///< (1 or n_tx, n_rx) weight of each element, or null for ones
  View<const float, 1> window;       ///< window at evenly spaced u from 0 to 1; null: pedestal and taper
  float slowness;                    ///< [s/m]
  float sampling_frequency;          ///< [Hz]
  float demodulation_frequency;      ///< [Hz]; 0: RF
  float f_number;                    ///< 0: no mask
  float pedestal, taper;             ///< window: see receive_window
  float wavelengths;                 ///< element width in wavelengths; negative: no directivity
  float lens_thickness;              ///< [m] between the elements and the face; 0: no lens
  float lens_slowness;               ///< [s/m]
  bool cubic;                        ///< Keys' cubic instead of linear interpolation
  Compounding compounding;
  int lanes;  ///< points per vector on the host: 8, 16, or 0 for the processor's choice
};

/// image (n_frames, n_points) or, without compounding, (n_frames, n_tx, n_points); complex64 for I/Q unless
/// incoherent, else float32. samples (n_frames, n_tx, n_rx, n_samples): int16 or float32 for RF, complex64 or pairs
/// of int16 (a fifth axis) for I/Q, any strides.
template <class Exec>
SONORAY_API void das(const Exec&, const DasProblem&, const Strided& samples, float* image);

/// The exact adjoint: samples (n_frames, n_tx, n_rx, n_samples) float32 or complex64, C order, from an image shaped as
/// above. Not for incoherent compounding, which is not linear.
template <class Exec>
SONORAY_API void das_adjoint(const Exec&, const DasProblem&, const float* image, std::int64_t n_frames,
                             std::int64_t n_samples, float* samples);

}  // namespace sonoray
