#pragma once
// First-arrival travel times: |grad T| = s on a regular grid, many sources at once.
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// Where the nodes lie: 2-D (x, z) or 3-D (x, y, z), the last axis fastest in memory.
struct EikonalGrid {
  int ndim = 2;
  std::int64_t shape[3] = {1, 1, 1};
  double spacing[3] = {};  ///< [m]
  double origin[3] = {};   ///< [m] first node

  SONORAY_HD std::int64_t size() const { return shape[0] * shape[1] * (ndim == 3 ? shape[2] : 1); }
};

struct EikonalParams {
  int max_rounds;  ///< rounds of 2^ndim sweeps in either pass and window; sweeping stops earlier when nothing changes
  double max_slowness;  ///< [s/m] no smaller than any of the medium's
};

/// Point sources: T(p) = min over paths of the integral of s from the source to p.
/// Second order in the spacing; the source need not be a node. `sources` is host memory for either place.
template <class Exec>
SONORAY_API void eikonal_points(const Exec&, const EikonalGrid&, const EikonalParams&,
                                View<const float, 1> slowness,  ///< (size) [s/m]
                                View<const double, 2> sources,  ///< (n, 3) [m], inside the grid; y is ignored in 2-D
                                bool mean_slowness,             ///< T / |p - source| instead of T, s at the source
                                View<float, 2> out);            ///< (n, size) [s] or [s/m]

/// Fronts: T as given at some nodes, the first arrival from there at all others. Second order where T is smooth.
/// `reference` is host memory for either place.
template <class Exec>
SONORAY_API void eikonal_fronts(
    const Exec&, const EikonalGrid&, const EikonalParams&, View<const float, 1> slowness,  ///< (size) [s/m]
    View<const double, 2> reference,  ///< (n, 3) [s/m] grad T of the plane wave nearest to each front; 0: none
    View<float, 2> times);            ///< (n, size) [s] in: given times, NaN elsewhere; out: all

/// The transpose of the derivative of eikonal_points with respect to the slowness: out = sum over sources and nodes of
/// cotangent times dT / ds. The scheme is differentiated where it has converged: at the solution, each node depends on
/// the neighbours from which its wave comes, and these dependencies are resolved by sweeps against the waves.
/// The result does not depend on the number of threads.
template <class Exec>
SONORAY_API void eikonal_gradient(
    const Exec&, const EikonalGrid&, const EikonalParams&, View<const float, 1> slowness, View<const double, 2> sources,
    bool mean_slowness, View<const float, 2> solution,  ///< (n, size) [s/m] mean slowness, or none: it is computed
    View<const float, 2> cotangent,                     ///< (n, size) of what eikonal_points returns
    View<double, 1> out);                               ///< (size)

/// The derivative itself: change of what eikonal_points returns, to first order, with `change` of the slowness.
template <class Exec>
SONORAY_API void eikonal_derivative(const Exec&, const EikonalGrid&, const EikonalParams&,
                                    View<const float, 1> slowness, View<const double, 2> sources, bool mean_slowness,
                                    View<const float, 2> solution, View<const float, 1> change,  ///< (size) [s/m]
                                    View<float, 2> out);                                         ///< (n, size)

}  // namespace sonoray
