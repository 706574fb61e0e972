// Cuts the image into tiles, gives each thread its working memory, and calls the schedule of the processor's level.
#include "beamforming/adaptive.h"

#include <algorithm>
#include <atomic>

#include "beamforming/adaptive_check.h"
#include "beamforming/adaptive_levels.h"
#include "beamforming/adaptive_work.h"
#include "beamforming/das_work.h"
#include "core/aligned_memory.h"
#include "core/dispatch.h"
#include "core/for_each.h"

namespace sonoray {
namespace {

constexpr int groups_per_tile = 16;
constexpr std::int64_t signal_floats = 1 << 16;  // of a tile, so that they stay in the second cache

DasTiles tiles_of(const DasProblem& p, const AdaptiveMethod& m, const DasRecord& record) {
  const bool iq = p.demodulation_frequency > 0.0f;
  DasTiles tiles{};
  tiles.lanes = cpu_level() == CpuLevel::v4 ? 16 : 8;  // as adaptive_lanes.cpp was compiled for that level
  tiles.n_rows = p.n_rows;
  tiles.n_columns = p.n_columns;
  if (p.n_rows < tiles.lanes / 2) {  // a few lines: neighbours along them fill the vectors better
    tiles.n_rows = p.n_rows * p.n_columns;
    tiles.n_columns = 1;
  }
  tiles.elements = static_cast<int>(p.elements.shape[0]);
  tiles.transmits = static_cast<int>(p.tx_time.shape[0]);
  tiles.frames = 1;
  const std::int64_t channels = m.over == AdaptiveOver::transmit ? tiles.transmits : tiles.elements;
  const std::int64_t group = channels * adaptive_kernel::temporal_samples(m) * (1 + iq) * tiles.lanes;
  const auto groups = static_cast<int>(std::clamp<std::int64_t>(signal_floats / group, 1, groups_per_tile));
  tiles.columns = static_cast<int>(std::min<std::int64_t>(tiles.n_columns, groups));
  const std::int64_t blocks = (tiles.n_rows + tiles.lanes - 1) / tiles.lanes;
  tiles.blocks = static_cast<int>(std::min<std::int64_t>(blocks, std::max(1, groups / tiles.columns)));
  tiles.across = (tiles.n_columns + tiles.columns - 1) / tiles.columns;
  tiles.down = (blocks + tiles.blocks - 1) / tiles.blocks;
  // Also the adaptive part's, whose pieces are multiples of 64 bytes, too.
  tiles.scratch = Work(nullptr, p, tiles, record.n_samples, iq).floats + AdaptiveWork(nullptr, p, m, tiles, iq).floats;
  return tiles;
}

}  // namespace

template <>
void adaptive(const Cpu& exec, const DasProblem& p, const AdaptiveMethod& m, const Strided& samples, float* image) {
  check_adaptive(p, m);
  check_times(p);
  const DasRecord record = das_record(p, samples);
  if (record.n_frames == 0) return;
  const DasTiles tiles = tiles_of(p, m, record);
  const std::int64_t n = tiles.across * tiles.down;
  std::atomic<std::int64_t> next{0};
  for_each(exec, std::min<std::int64_t>(thread_count(exec), n), [&](std::int64_t) {
    const AlignedMemory memory(tiles.scratch);
    for (std::int64_t i; (i = next++) < n;)
      SONORAY_DISPATCH(adaptive_tile, p, m, tiles, record, i, image, memory.data());
  });
}

}  // namespace sonoray
