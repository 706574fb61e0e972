#include "rays/greens.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "rays/greens_lanes.h"
#include "rays/greens_plan.h"

namespace sonoray::greens {
namespace {

using Clock = std::chrono::steady_clock;

/// What blocks need one after the other.
struct Buffers {
  std::vector<Node> nodes;
  std::vector<Record> records;
  std::vector<float> absorption;
  std::vector<std::uint8_t> caustics;

  Buffers(const Job& job, const Plan& plan, int count)
      : nodes(std::size_t(plan.rings) * (sector + 1), Node{}),
        records(plan.buckets.n_points * count),
        absorption(job.absorption ? plan.buckets.n_points * count : 0),
        caustics(plan.buckets.n_points * count) {}

  Room room() {
    return {nodes.data(), records.data(), absorption.empty() ? nullptr : absorption.data(), caustics.data()};
  }
};

/// A block of sources, one after the other: a fan is traced and brought to the points sector by sector, so that its
/// nodes stay in the processor's cache.
class Block {
 public:
  Block(const Job& job, const Prepared& prepared, const Room& room)
      : job_(job), prepared_(prepared), plan_(prepared.plan), room_(room) {}

  void run(std::int64_t first, int count) {
    for (slot_ = 0; slot_ < count; ++slot_) {
      const Fan& fan = prepared_.fans[first + slot_];
      SONORAY_DISPATCH(greens_clear, plan_, slot_, room_);
      for (int k = 0; k < fan.sectors; ++k) {
        if (k > 0) carry();
        part(fan, k, 0, k > 0);
      }
      SONORAY_DISPATCH(greens_near, plan_, fan, slot_, room_, job_);
    }
    SONORAY_DISPATCH(greens_gather, plan_, count, first, room_, job_);
  }

  Work work;
  Clock::duration tracing{}, rastering{};

 private:
  /// The last ray of a sector is the first of the next.
  void carry() {
    constexpr int columns = sector + 1;
    last_[0] = last_[sector];
    for (int j = 1; j <= last_[0]; ++j) room_.nodes[j * columns] = room_.nodes[j * columns + sector];
  }

  /// A sector of the fan, whose pitch has been halved `level` times; in halves if its rays part too far.
  void part(const Fan& fan, int number, int level, bool known) {
    const double widest = level < most_halvings ? most_parted * plan_.width : 1e300;
    const Sector all{refined(fan, level), number, known, widest, last_};
    const Clock::time_point begin = Clock::now();
    SONORAY_DISPATCH(greens_trace, plan_, all, room_, work);
    const Clock::time_point middle = Clock::now();
    tracing += middle - begin;
    if (work.parted) {
      part(fan, 2 * number, level + 1, known);
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
  Room room_;
  int slot_ = 0;
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
  std::vector<std::unique_ptr<Buffers>> idle;
  for_each(exec, (n + block - 1) / block, [&](std::int64_t b) {
    std::unique_ptr<Buffers> buffers;
    {
      const std::lock_guard<std::mutex> guard(lock);
      if (!idle.empty()) {
        buffers = std::move(idle.back());
        idle.pop_back();
      }
    }
    if (!buffers)
      buffers = std::make_unique<Buffers>(job, prepared.plan, static_cast<int>(std::min<std::int64_t>(n, block)));
    Block part(job, prepared, buffers->room());
    part.run(b * block, static_cast<int>(std::min<std::int64_t>(n - b * block, block)));
    const std::lock_guard<std::mutex> guard(lock);
    idle.push_back(std::move(buffers));
    report.rays += part.work.rays;
    report.steps += part.work.steps;
    report.trace += std::chrono::duration<double>(part.tracing).count();
    report.raster += std::chrono::duration<double>(part.rastering).count();
    report.caustics = report.caustics || part.work.caustics;
  });
  return report;
}

}  // namespace sonoray::greens
