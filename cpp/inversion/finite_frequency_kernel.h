#pragma once
// The formula of one pair and one node, and the checks that both places share.
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "inversion/finite_frequency.h"

namespace sonoray {

/// Kernel between a pair and one node: linear interpolation of the table at the detour. `end` = n_table - 1.
SONORAY_HD SONORAY_INLINE float fresnel_kernel(const float* table, float inverse_step, float end, float detour) {
  float t = detour * inverse_step;
  t = t < 0.0f ? 0.0f : t;  // rounding of the three times
  t = t > end ? end : t;
  std::int32_t i = static_cast<std::int32_t>(t);
  const std::int32_t last = static_cast<std::int32_t>(end) - 1;
  i = i > last ? last : i;
  const float a = table[i];
  return a + (table[i + 1] - a) * (t - static_cast<float>(i));
}

inline void check_fresnel(const FresnelSetup& s, std::int64_t n_pairs, std::int64_t n_nodes) {
  require(n_nodes % kFresnelBlock == 0, "nodes: expected a multiple of " + std::to_string(kFresnelBlock));
  const auto same = [&](const View<const float, 2>& v, const View<const float, 2>& w, const char* name) {
    require(v.shape[0] == w.shape[0] && v.shape[1] == n_nodes, std::string(name) + ": expected (elements, nodes)");
  };
  same(s.tx_time, s.tx_amplitude, "tx_time");
  same(s.tx_amplitude, s.tx_time, "tx_amplitude");
  same(s.rx_time, s.rx_amplitude, "rx_time");
  same(s.rx_amplitude, s.rx_time, "rx_amplitude");
  require(s.pairs.shape[0] == n_pairs && s.pairs.shape[1] == 2, "pairs: expected (pairs, 2)");
  require(s.pair_time.shape[0] == n_pairs && s.pair_scale.shape[0] == n_pairs, "pair_time, pair_scale: one per pair");
  require(s.table.shape[0] >= 2 && s.table.shape[0] < (1 << 22), "table: expected 2 to 4194304 values");
  require(s.step > 0.0f, "step: expected a positive time");
}

}  // namespace sonoray
