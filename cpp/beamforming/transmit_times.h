#pragma once
// When each transmit passes each point, in a medium of one speed or through tables that know the medium.
#include <cstdint>
#include <vector>

#include "beamforming/wave_arrival.h"
#include "core/exec.h"

namespace sonoray::waves {

enum class TransmitKind { plane, diverging, focused, element, delays, times };

struct Transmit {
  TransmitKind kind = TransmitKind::plane;
  std::int64_t element = 0;
  Point origin{}, direction{}, focus{};
  std::vector<double> delays;  ///< (n_elements) [s]; NaN: silent
  std::vector<char> fires;     ///< (n_elements)
  std::vector<float> times;    ///< (n_points) [s], for TransmitKind::times
};

/// Mean slowness from every element to the nodes of a coarse grid, multilinear between them and constant outside.
struct SlownessTable {
  std::vector<float> values;                      ///< (n_elements, n_x, n_y, n_z) [s/m]
  std::int64_t shape[3] = {0, 0, 0};              ///< n_y is 1 for a 2-D medium
  double origin[3] = {}, spacing[3] = {1, 1, 1};  ///< [m]

  double operator()(std::int64_t element, const Point& p) const;
};

struct TransmitProblem {
  std::vector<Point> elements, normals;
  std::vector<Transmit> transmits;
  std::vector<Point> points;
  double sequence_speed = 1540.0;  ///< [m/s] that delays were computed with
  double speed = 1540.0;           ///< [m/s] of the medium, or its mean
  double wavelength = 3e-4;        ///< [m] for the depth of a focus
  const SlownessTable* table = nullptr;
};

/// Firing times of all elements [s], NaN where silent. Throws ArgumentError where a transmit does not fit the probe.
std::vector<double> firing_times(const TransmitProblem&, const Transmit&);

/// (n_transmits, n_points) [s] after each transmit's time zero.
void transmit_times(const Cpu&, const TransmitProblem&, float* times);

}  // namespace sonoray::waves
