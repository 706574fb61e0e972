#pragma once
// Fast sweeping of one group of sources, one source per SIMD lane. Compiled once per processor level.
#include <cstdint>

namespace sonoray::eikonal {

constexpr int max_lanes = 32;
constexpr int halo = 2;  ///< unreached nodes around the grid, so that no update asks where it is

enum class Kind { point, front };

/// Lengths in units of the grid's diagonal, slowness in units of the medium's largest. Fields are padded by `halo`
/// on each side of each of the `ndim` axes; `stride` counts nodes of the padded field.
struct SweepGrid {
  int ndim;
  int n[3], tile[3], tiles[3];
  std::int64_t stride[3];
  float h[3];
  const float* squared_slowness;
};

/// State of one group. `v` holds (padded nodes, lanes). Nodes with an odd last bit in v are given and kept.
struct Lanes {
  Kind kind;
  float* v;
  std::uint8_t*
      sides;  ///< (tiles) bit 2 i: waves come from below along axis i somewhere in the tile, 2 i + 1: from above
  std::uint8_t* pending;         ///< (tiles) bit q: sweep q has something new to look at
  std::uint8_t* fresh;           ///< (tiles) the first pass has changed what the second one has not seen yet
  int seed[2][3];                ///< first and last tile along each axis of the box from which waves start
  float position[3][max_lanes];  ///< point: the source
  float slope[3][max_lanes];     ///< point: slope[0] is the slowness at the source; front: the reference slowness
  int max_rounds;                ///< of 2^ndim sweeps, in either pass of each window
};

/// Solves a group whose v holds the given nodes and `unreached`, and whose `sides` hold the first guess.
#define SONORAY_DECLARE_LEVEL(level)                                                                               \
  namespace level {                                                                                                \
  int eikonal_lanes(int vectors);                                                                                  \
  void eikonal_solve(const SweepGrid&, Lanes&, int vectors);                                                       \
  void eikonal_finish(const SweepGrid&, const Lanes&, int vectors, int count, float scale, bool mean, float* out); \
  }
SONORAY_DECLARE_LEVEL(baseline)
SONORAY_DECLARE_LEVEL(v3)
SONORAY_DECLARE_LEVEL(v4)
#undef SONORAY_DECLARE_LEVEL

}  // namespace sonoray::eikonal
