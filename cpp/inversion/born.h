#pragma once
// Ray-Born inversion in the plane: Green's functions of many sources on tiles of image points, ready for matrix
// products, and the sum that follows a product.
#include <complex>
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// What rays say about the wave from every source, at the image points or at the nodes of a coarser grid.
struct BornFields {
  View<const float, 2> sources;          ///< (2, n_sources) x and z [m]
  View<const float, 2> excess;           ///< (n_nodes, n_sources) travel time beyond r / c_ref [s]
  View<const float, 2> focusing;         ///< f = r / (n abs(J)); 0 where no ray arrives
  View<const float, 2> absorption;       ///< [Np at 1 MHz]; may be empty
  View<const float, 2> take_off;         ///< turn from the straight direction at the source [rad]; may be empty
  View<const float, 2> arrival;          ///< the same at the node
  View<const std::uint8_t, 2> caustics;  ///< passed so far; may be empty
  float reference_sound_speed;           ///< c_ref [m/s]
  std::int64_t shape[2];                 ///< nodes along x and z; {0, 0}: the fields lie at the image points
  float origin[2], spacing[2];           ///< [m]
};

/// G(p, s) = scale(p) sqrt(f / r) exp(i (omega (r / c_ref + excess + delay absorption) + pi / 4 - caustics pi / 2))
/// times exp(min(gain absorption, cap)).
struct BornWaves {
  BornFields fields;
  View<const float, 2> points;               ///< (2, n_points) x and z [m]
  View<const std::complex<float>, 1> scale;  ///< (n_points)
  View<const float, 2> facing;               ///< (3, n_sources): a, b, c; may be empty, see born_waves
  float frequency;                           ///< [Hz]
  float gain;                                ///< [1], of the absorption
  float cap;                                 ///< [Np]
  float delay;                               ///< [s per Np at 1 MHz] that comes with absorption: dispersion
};

/// out (planes, n_points, n_sources). One plane without `facing`: G. One plane with it: G weighted by abs(a o_x +
/// b o_z) + c, o being the ray's direction at the source. Three planes: that, and that times the two components of
/// the ray's direction at the point.
template <class Exec>
SONORAY_API void born_waves(const Exec&, const BornWaves&, View<std::complex<float>, 3> out);

/// out[p] = sum over planes q of factor[q] sum over s of a(q, p, s) b(q, p, s).
template <class Exec>
SONORAY_API void born_rowdot(const Exec&, View<const std::complex<float>, 3> a, View<const std::complex<float>, 3> b,
                             View<const float, 1> factor, View<std::complex<float>, 1> out);

}  // namespace sonoray
