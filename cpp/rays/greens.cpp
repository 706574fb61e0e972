#include "rays/greens.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "rays/greens_lanes.h"
#include "rays/greens_plan.h"

namespace sonoray::greens {
namespace {

using Clock = std::chrono::steady_clock;

/// A block of sources, one after the other: a fan is traced and brought to the points sector by sector, so that its
/// nodes stay in the processor's cache.
class Block {
 public:
  Block(const Job& job, const Prepared& prepared, std::int64_t first, int count)
      : job_(job),
        prepared_(prepared),
        plan_(prepared.plan),
        first_(first),
        count_(count),
        nodes_(new Node[std::size_t(plan_.rings) * (sector + 1)]),
        records_(new Record[plan_.buckets.n_points * count]),
        absorption_(job.absorption ? new float[plan_.buckets.n_points * count] : nullptr),
        caustics_(plan_.buckets.n_points * count, 0),
        room_{nodes_.get(), records_.get(), absorption_.get(), caustics_.data()} {}

  void run() {
    for (slot_ = 0; slot_ < count_; ++slot_) {
      const Fan& fan = prepared_.fans[first_ + slot_];
      SONORAY_DISPATCH(greens_clear, plan_, slot_, room_);
      for (int k = 0; k < fan.sectors; ++k) {
        if (k > 0) carry();
        part(fan, k, 0, k > 0);
      }
    }
    SONORAY_DISPATCH(greens_gather, plan_, prepared_.fans.data() + first_, count_, first_, room_, job_);
  }

  Work work;
  Clock::duration tracing{}, rastering{};

 private:
  /// The last ray of a sector is the first of the next.
  void carry() {
    constexpr int columns = sector + 1;
    last_[0] = last_[sector];
    for (int j = 1; j <= last_[0]; ++j) nodes_[j * columns] = nodes_[j * columns + sector];
  }

  /// A sector of the fan, whose pitch has been halved `level` times; in halves if its rays part too far.
  void part(const Fan& fan, int number, int level, bool known) {
    const Sector all{refined(fan, level), number, known, last_};
    double parted = 0;
    const Clock::time_point begin = Clock::now();
    SONORAY_DISPATCH(greens_trace, plan_, all, room_, work, parted);
    const Clock::time_point middle = Clock::now();
    tracing += middle - begin;
    if (parted > most_parted * plan_.width && level < most_halvings) {
      part(fan, 2 * number, level + 1, true);
      carry();
      part(fan, 2 * number + 1, level + 1, true);
      return;
    }
    SONORAY_DISPATCH(greens_raster, plan_, all, slot_, room_, work);
    rastering += Clock::now() - middle;
  }

  const Job& job_;
  const Prepared& prepared_;
  const Plan& plan_;
  std::int64_t first_;
  int count_, slot_ = 0;
  std::unique_ptr<Node[]> nodes_;
  std::unique_ptr<Record[]> records_;
  std::unique_ptr<float[]> absorption_;
  std::vector<std::uint8_t> caustics_;
  Room room_;
  std::int32_t last_[sector + 1] = {};
};

}  // namespace

template <>
Report fields(const Cpu& exec, const Job& job) {
  check_job(job);
  const Prepared prepared = prepare(job);
  const std::int64_t n = job.sources.shape[0];
  Report report;
  std::mutex lock;
  for_each(exec, (n + block - 1) / block, [&](std::int64_t b) {
    Block part(job, prepared, b * block, static_cast<int>(std::min<std::int64_t>(n - b * block, block)));
    part.run();
    const std::lock_guard<std::mutex> guard(lock);
    report.rays += part.work.rays;
    report.steps += part.work.steps;
    report.trace += std::chrono::duration<double>(part.tracing).count();
    report.raster += std::chrono::duration<double>(part.rastering).count();
    report.caustics = report.caustics || part.work.caustics;
  });
  return report;
}

}  // namespace sonoray::greens
