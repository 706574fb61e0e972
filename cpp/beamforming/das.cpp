// Cuts the image into tiles, gives each thread its working memory, and calls the schedule of the processor's level.
#include "beamforming/das.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "beamforming/das_check.h"
#include "beamforming/das_levels.h"
#include "beamforming/das_plan.h"
#include "beamforming/das_work.h"
#include "core/dispatch.h"
#include "core/for_each.h"

namespace sonoray {
namespace {

constexpr int groups_per_tile = 64, columns_per_tile = 32;

DasTiles tiles_of(const DasProblem& p, const DasRecord& record) {
  DasTiles tiles{};
  tiles.lanes = p.lanes ? p.lanes : cpu_level() == CpuLevel::v4 ? 16 : 8;
  tiles.n_rows = p.n_rows;
  tiles.n_columns = p.n_columns;
  if (p.n_rows < tiles.lanes / 2) {  // a few lines: neighbours along them fill the vectors better
    tiles.n_rows = p.n_rows * p.n_columns;
    tiles.n_columns = 1;
  }
  tiles.columns = static_cast<int>(std::min<std::int64_t>(tiles.n_columns, columns_per_tile));
  const std::int64_t blocks = (tiles.n_rows + tiles.lanes - 1) / tiles.lanes;
  tiles.blocks = static_cast<int>(std::min<std::int64_t>(blocks, std::max(1, groups_per_tile / tiles.columns)));
  tiles.across = (tiles.n_columns + tiles.columns - 1) / tiles.columns;
  tiles.down = (blocks + tiles.blocks - 1) / tiles.blocks;
  const bool iq = p.demodulation_frequency > 0.0f;
  tiles.elements = static_cast<int>(std::min<std::int64_t>(p.elements.shape[0], 32));
  tiles.transmits = static_cast<int>(std::min<std::int64_t>(p.tx_time.shape[0], 64));
  const std::int64_t sums = p.compounding == Compounding::coherent ? 1 : p.tx_time.shape[0];
  const std::int64_t frames = (1 << 16) / (sums * groups_per_tile * tiles.lanes * (iq ? 2 : 1));
  tiles.frames = static_cast<int>(std::clamp<std::int64_t>(frames, 1, std::max<std::int64_t>(record.n_frames, 1)));
  tiles.scratch = Work(nullptr, p, tiles, record.n_samples, iq).floats;
  return tiles;
}

/// Whether consecutive frames of a sample are neighbours in memory, and enough of them to fill vectors.
bool frames_are_fastest(const DasRecord& r) {
  const std::int64_t item[] = {2, 4, 4, 8};
  return r.n_frames >= 4 && r.frame == item[static_cast<int>(r.type)] && r.sample != r.frame;
}

/// Tiles for the schedule over frames: squares of points whose sums stay in cache.
DasTiles frame_tiles(const DasProblem& p, const DasRecord& r) {
  DasTiles tiles{};
  const std::int64_t floats = r.n_frames * (p.demodulation_frequency > 0.0f ? 4 : 1);
  const std::int64_t points = std::clamp<std::int64_t>((1 << 15) / floats, 4, das_chunk);
  tiles.n_rows = p.n_rows;
  tiles.n_columns = p.n_columns;
  tiles.columns = static_cast<int>(std::min<std::int64_t>(p.n_columns, 16));
  tiles.blocks = static_cast<int>(std::min<std::int64_t>(p.n_rows, std::max<std::int64_t>(points / tiles.columns, 1)));
  tiles.across = (tiles.n_columns + tiles.columns - 1) / tiles.columns;
  tiles.down = (tiles.n_rows + tiles.blocks - 1) / tiles.blocks;
  tiles.frames = static_cast<int>(r.n_frames);
  tiles.scratch = tiles.columns * tiles.blocks * floats;
  return tiles;
}

}  // namespace

void check_times(const DasProblem& p) {
  float low = 0.0f, high = 0.0f, slowness = p.slowness;
  bool finite = true;
  auto extend = [&](const View<const float, 2>& at) {
    for (std::int64_t i = 0; i < at.shape[0] * 3; ++i) {
      low = std::min(low, at.data[i]);
      high = std::max(high, at.data[i]);
      finite &= std::isfinite(at.data[i]);
    }
  };
  extend(p.points);
  extend(p.elements);
  for (std::int64_t i = 0; p.lines && i < p.lines.size(); ++i) finite &= std::isfinite(p.lines.data[i]);
  require(finite, "points, elements: expected finite positions");
  if (p.rx_slowness) {
    for (std::int64_t i = 0; i < p.rx_slowness.size(); ++i) {
      slowness = std::max(slowness, p.rx_slowness.data[i]);
      finite &= std::isfinite(p.rx_slowness.data[i]) && p.rx_slowness.data[i] >= 0.0f;
    }
    require(finite, "rx_slowness: expected finite values, not negative, in s/m");
  }
  require((1.8f * (high - low) * slowness + p.lens_thickness * p.lens_slowness) * p.sampling_frequency < float(1 << 22),
          "points: expected receive times below 4194304 samples");
}

DasPlan::DasPlan(const Cpu& exec, const DasProblem& p, const Strided& samples) : exec_(exec), problem_(p) {
  check_das(p);
  check_times(p);
  record_ = das_record(p, samples);
  if (record_.n_frames == 0) return;
  over_frames_ = frames_are_fastest(record_);
  tiles_ = over_frames_ ? frame_tiles(p, record_) : tiles_of(p, record_);
  const std::int64_t chunks = (record_.n_frames + tiles_.frames - 1) / tiles_.frames;
  workers_ = static_cast<int>(std::min<std::int64_t>(thread_count(exec), tiles_.across * tiles_.down * chunks));
  stride_ = (tiles_.scratch + 15) / 16 * 16;
  memory_ = std::make_unique<AlignedMemory>(workers_ * stride_);
}

void DasPlan::operator()(const void* samples, float* image) {
  if (record_.n_frames == 0) return;
  record_.data = static_cast<const char*>(samples);
  const std::int64_t n = tiles_.across * tiles_.down;
  const std::int64_t chunks = (record_.n_frames + tiles_.frames - 1) / tiles_.frames;
  std::atomic<std::int64_t> next{0};
  // One item per thread, each with its own memory; the tiles do not depend on how many there are.
  for_each(exec_, workers_, [&](std::int64_t worker) {
    float* const memory = memory_->data() + worker * stride_;
    for (std::int64_t i; (i = next++) < n * chunks;) {
      const std::int64_t frame = i / n * tiles_.frames;
      if (over_frames_) {
        SONORAY_DISPATCH(das_frame_tile, problem_, tiles_, record_, i, image, memory);
        continue;
      }
      SONORAY_DISPATCH(das_tile, problem_, tiles_, record_, i % n, frame, image, memory);
    }
  });
}

template <>
void das(const Cpu& exec, const DasProblem& p, const Strided& samples, float* image) {
  DasPlan(exec, p, samples)(samples.data, image);
}

template <>
void das_adjoint(const Cpu& exec, const DasProblem& p, const float* image, std::int64_t n_frames,
                 std::int64_t n_samples, float* samples) {
  check_das(p);
  check_times(p);
  check_das_samples(n_samples);
  require(p.compounding != Compounding::incoherent, "compounding: incoherent compounding has no adjoint");
  const std::int64_t n_points = p.points.shape[0], parts = p.demodulation_frequency > 0.0f ? 2 : 1;
  const std::int64_t images = n_frames * (p.compounding == Compounding::none ? p.tx_time.shape[0] : 1);
  std::vector<std::int64_t> points;  // those that are not zero everywhere: scatterers are few
  for (std::int64_t i = 0; i < n_points; ++i) {
    bool zero = true;
    for (std::int64_t k = 0; k < images && zero; ++k)
      for (std::int64_t c = 0; c < parts; ++c) zero &= image[(k * n_points + i) * parts + c] == 0.0f;
    if (!zero) points.push_back(i);
  }
  const auto count = static_cast<std::int64_t>(points.size());
  for_each(exec, p.elements.shape[0], [&](std::int64_t e) {
    SONORAY_DISPATCH(das_adjoint_element, p, e, points.data(), count, image, n_frames, n_samples, samples);
  });
}

}  // namespace sonoray
