#pragma once
// Everything of a frame's beamforming that depends on the sound speed, replaced as one.
#include <cstdint>
#include <vector>

#include "beamforming/das.h"
#include "capi/settings.h"

namespace sonoray::capi {

class Tables {
 public:
  /// One speed [m/s], straight paths.
  void set_speed(const Cpu& maker, const Settings&, double speed);
  /// A map (*map.shape) [m/s]: eikonal times from every element, sampled on a coarse table.
  void set_map(const Cpu& maker, const Settings&, const float* sound_speed);
  /// Arrival times (n_transmits, n_points), and mean slownesses (n_elements, *table.shape) or null.
  void set_given(const Settings&, const float* times, const float* slowness, const EikonalGrid* table);

  /// How frames are beamformed with these tables; shows them.
  DasProblem problem(const Settings&) const;

  std::uint32_t generation = 0;

  /// Nodes of the tables that maps will give; 0 if none will come.
  static std::int64_t nodes(const Settings&);

 private:
  void set_grid(const EikonalGrid&, std::int64_t n_elements);

  std::vector<float> tx_time_;
  waves::SlownessTable table_;
  bool tabulated_ = false;
  double speed_ = 1540.0;
};

}  // namespace sonoray::capi
