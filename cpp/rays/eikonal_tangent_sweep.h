#pragma once
// The linearised scheme of one group of sources, one source per SIMD lane. Compiled once per processor level.
#include <cstdint>

#include "rays/eikonal_sweep.h"

namespace sonoray::eikonal {

/// What goes with a solved group (`Lanes`); fields are padded like v.
struct TangentLanes {
  float* field;             ///< (padded nodes, lanes) adjoint: what nodes have yet to pass on; derivative: changes of v
  const float* relative;    ///< derivative: (padded nodes) relative change of the slowness
  float change[max_lanes];  ///< derivative: of s0
  double* gradient;         ///< adjoint: (padded nodes) what relative changes of the slowness do, all lanes together
  double source[max_lanes];  ///< adjoint: what a change of s0 does, straight rays apart
  std::uint8_t* quadrants;   ///< (tiles) bit q: some node's wave comes with sweep q
  std::uint8_t* pending;     ///< (tiles) bit q: sweep q has something new to look at
};

/// `eikonal_push` passes what each node has in `field` on to the nodes that its time comes from, until only given nodes
/// have any. `eikonal_carry` carries changes from the given nodes and of the slowness along the waves to all others.
#define SONORAY_DECLARE_LEVEL(level)                                              \
  namespace level {                                                               \
  void eikonal_push(const SweepGrid&, const Lanes&, TangentLanes&, int vectors);  \
  void eikonal_carry(const SweepGrid&, const Lanes&, TangentLanes&, int vectors); \
  }
SONORAY_DECLARE_LEVEL(baseline)
SONORAY_DECLARE_LEVEL(v3)
SONORAY_DECLARE_LEVEL(v4)
#undef SONORAY_DECLARE_LEVEL

}  // namespace sonoray::eikonal
