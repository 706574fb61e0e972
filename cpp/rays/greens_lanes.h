#pragma once
// The work on one source and on a block of them. Compiled once per processor level.
#include <cstdint>

#include "rays/greens.h"
#include "rays/greens_kernel.h"

namespace sonoray::greens {

constexpr int block = 16;  ///< sources: a line of a cache in the results

/// One thread's room. Of each source of the block, at each point (in the order of the buckets):
struct Room {
  Node* nodes;             ///< (rings, sector + 1), of zeros at first
  Record* records;         ///< (block, points)
  float* absorption;       ///< the same, or null
  std::uint8_t* caustics;  ///< the same
};

struct Work {
  std::int64_t rays = 0, steps = 0;
  bool caustics = false;
  bool parted = false;  ///< in the last sector rays lie too far apart
};

/// One sector of a fan: `known` says that its first ray's nodes are there.
struct Sector {
  Fan fan;
  int number;
  bool known;
  double widest;       ///< [m] between neighbouring nodes
  std::int32_t* last;  ///< (sector + 1)
};

#define SONORAY_DECLARE_LEVEL(level)                                                       \
  namespace level {                                                                        \
  void greens_clear(const Plan&, int slot, const Room&);                                   \
  void greens_trace(const Plan&, const Sector&, const Room&, Work&);                       \
  void greens_raster(const Plan&, const Sector&, int slot, const Room&, Work&);            \
  void greens_near(const Plan&, const Fan&, int slot, const Room&, const Job&);            \
  void greens_gather(const Plan&, int count, std::int64_t first, const Room&, const Job&); \
  }
SONORAY_DECLARE_LEVEL(baseline)
SONORAY_DECLARE_LEVEL(v3)
SONORAY_DECLARE_LEVEL(v4)
#undef SONORAY_DECLARE_LEVEL

}  // namespace sonoray::greens
