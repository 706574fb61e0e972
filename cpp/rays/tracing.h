#pragma once
// Many rays at once. What one ray does is in tracing_kernel.h.
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"
#include "rays/schemes.h"
#include "rays/surfaces.h"
#include "rays/tracing_kernel.h"

namespace sonoray::tracing {

/// Columns of the result: where the parts of one ray's end state lie.
template <int D>
struct Columns {
  static constexpr int position = 0;    ///< [m]
  static constexpr int direction = D;   ///< unit
  static constexpr int length = 2 * D;  ///< acoustic length [m]
  static constexpr int absorbed = 2 * D + 1;
  static constexpr int status = 2 * D + 2;
  static constexpr int steps = 2 * D + 3;
  static constexpr int caustics = 2 * D + 4;
  static constexpr int frame = 2 * D + 5;     ///< first unit vector across the ray; with amplitudes only
  static constexpr int solution = frame + D;  ///< point source Q, P; plane wave Q, P; with amplitudes only
  static constexpr int plain = frame, with_amplitudes = solution + 4 * spread_size<D>;
};

/// What is traced and where it goes. Geometry and results lie in the place's own memory.
template <int D>
struct Job {
  Medium<D> medium;
  Surface<D> surface;
  Limits limits;
  Scheme scheme = Scheme::rk4;
  bool amplitudes = false;  ///< carry the paraxial solutions; rk4 and heun with splines only
  std::int64_t n = 0;
  const double* positions = nullptr;   ///< (n, D) [m]
  const double* directions = nullptr;  ///< (n, D), of any length
  const double* points = nullptr;      ///< (n, D) [m] Shape::plane: a point of each ray's plane
  const double* normals = nullptr;     ///< (n, D) unit, along the ray
  double* result = nullptr;            ///< (n, columns) Columns; null: not wanted
  // Nodes: a second pass, once the steps of each ray are known.
  double* nodes = nullptr;                ///< (offsets[n], D) [m]; null: not wanted
  const std::int64_t* offsets = nullptr;  ///< (n + 1) ray i owns the nodes offsets[i] to offsets[i + 1]
  std::int64_t n_nodes = 0;               ///< room in `nodes`; what an offset puts beyond is not written
  int every = 1;                          ///< only each such node, and the last
};

/// How many nodes are kept of a ray of so many steps.
SONORAY_HD SONORAY_INLINE std::int64_t kept_nodes(std::int64_t steps, int every) {
  return 1 + (steps + every - 1) / every;
}

/// Every ray ends with a status (Status); none throws. Neighbours in the list should be neighbours in space: they share
/// the lanes of a vector.
template <class Exec, int D>
SONORAY_API void trace_rays(const Exec&, const Job<D>&);

}  // namespace sonoray::tracing
