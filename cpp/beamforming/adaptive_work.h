#pragma once
// Working memory of a tile beyond what delay-and-sum needs.
#include <cstdint>

#include "beamforming/adaptive_kernel.h"
#include "beamforming/das_kernel.h"
#include "beamforming/das_levels.h"

namespace sonoray {
namespace {  // every file its own copy: this is compiled for several processors

/// G groups, E elements or transmits, S samples of each, W lanes; in one piece of memory, or only measured.
struct AdaptiveWork {
  float* signal;         // (G, S, E, parts, W)
  float *mask, *weight;  // (G, E, W); weight null for a boxcar
  float* zeros;          // (W) what RF has for imaginary parts
  float* total;          // (G, 2, W) sums over transmits
  float* started;        // (G) whether a group has any signals yet
  float* columns;        // the method's own
  std::int64_t floats = 0;

  AdaptiveWork(float* memory, const DasProblem& p, const AdaptiveMethod& m, const DasTiles& tiles, bool iq) {
    const bool transmit = m.over == AdaptiveOver::transmit;
    const std::int64_t G = tiles.blocks * tiles.columns, W = tiles.lanes, S = adaptive_kernel::temporal_samples(m);
    const std::int64_t E = transmit ? tiles.transmits : tiles.elements;
    take(memory, signal, G * S * E * (1 + iq) * W);
    take(memory, mask, G * E * W);
    take(memory, weight, das_kernel::has_window(p) && !transmit ? G * E * W : 0);
    if (!das_kernel::has_window(p) || transmit) weight = nullptr;
    take(memory, zeros, W);
    take(memory, total, G * 2 * W);
    take(memory, started, G);
    take(memory, columns, adaptive_kernel::columns_of(m, static_cast<int>(E)) * W);
  }

 private:
  void take(float* memory, float*& pointer, std::int64_t n) {
    pointer = memory ? memory + floats : nullptr;
    floats += (n + 15) / 16 * 16;
  }
};

}  // namespace
}  // namespace sonoray
