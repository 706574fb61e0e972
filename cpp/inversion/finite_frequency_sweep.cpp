// Blocks of 64 nodes, vectorised over the nodes; compiled once per processor level.
#include <cstdint>

#include "inversion/finite_frequency_kernel.h"
#include "inversion/finite_frequency_levels.h"

namespace sonoray::SONORAY_LEVEL {

namespace {

/// One pair's view of the tables; both loops below go through the same values.
struct Pair {
  const float *tx_time, *rx_time, *tx_amplitude, *rx_amplitude, *table;
  float time, scale, inverse_step, end, reach;
  const float *block_tx, *block_rx;

  SONORAY_INLINE Pair(const FresnelSetup& s, const float* earliest_tx, const float* earliest_rx, std::int64_t p) {
    const std::int64_t e = s.pairs(p, 0), r = s.pairs(p, 1), n = s.tx_time.shape[1];
    tx_time = s.tx_time.data + e * n;
    rx_time = s.rx_time.data + r * n;
    tx_amplitude = s.tx_amplitude.data + e * n;
    rx_amplitude = s.rx_amplitude.data + r * n;
    table = s.table.data;
    time = s.pair_time.data[p];
    scale = s.pair_scale.data[p];
    inverse_step = 1.0f / s.step;
    end = static_cast<float>(s.table.shape[0] - 1);
    reach = time + end * s.step;
    block_tx = earliest_tx + e * (n / kFresnelBlock);
    block_rx = earliest_rx + r * (n / kFresnelBlock);
  }
  SONORAY_INLINE bool misses(std::int64_t block) const { return block_tx[block] + block_rx[block] >= reach; }
  SONORAY_INLINE float at(std::int64_t i) const {
    const float detour = tx_time[i] + rx_time[i] - time;
    return fresnel_kernel(table, inverse_step, end, detour) * (tx_amplitude[i] * rx_amplitude[i]);
  }
};

}  // namespace

void fresnel_forward(const FresnelSetup& s, const float* block_tx, const float* block_rx, const float* change,
                     float* delay, std::int64_t begin, std::int64_t end) {
  const std::int64_t blocks = s.tx_time.shape[1] / kFresnelBlock;
  for (std::int64_t p = begin; p < end; ++p) {
    const Pair pair(s, block_tx, block_rx, p);
    double sum = 0.0;
    for (std::int64_t b = 0; b < blocks; ++b) {
      if (pair.misses(b)) continue;
      const std::int64_t first = b * kFresnelBlock;
      float part = 0.0f;
#pragma omp simd reduction(+ : part)
      for (int i = 0; i < kFresnelBlock; ++i) part += pair.at(first + i) * change[first + i];
      sum += part;
    }
    delay[p] = static_cast<float>(sum * pair.scale);
  }
}

void fresnel_adjoint(const FresnelSetup& s, const float* block_tx, const float* block_rx, const float* weight,
                     float* image, std::int64_t begin, std::int64_t end) {
  const std::int64_t n_pairs = s.pairs.shape[0];
  for (std::int64_t b = begin; b < end; ++b) {
    const std::int64_t first = b * kFresnelBlock;
    double sum[kFresnelBlock] = {};
    float part[kFresnelBlock] = {};
    int waiting = 0;
    for (std::int64_t p = 0; p < n_pairs; ++p) {
      const Pair pair(s, block_tx, block_rx, p);
      if (pair.misses(b)) continue;
      const float w = weight[p] * pair.scale;
#pragma omp simd
      for (int i = 0; i < kFresnelBlock; ++i) part[i] += pair.at(first + i) * w;
      if (++waiting == 256 || p + 1 == n_pairs) {  // short sums in float, their sum in double
        for (int i = 0; i < kFresnelBlock; ++i) {
          sum[i] += part[i];
          part[i] = 0.0f;
        }
        waiting = 0;
      }
    }
    for (int i = 0; i < kFresnelBlock; ++i) image[first + i] = static_cast<float>(sum[i] + part[i]);
  }
}

}  // namespace sonoray::SONORAY_LEVEL
