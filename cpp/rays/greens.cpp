#include "rays/greens.h"

#include <atomic>
#include <chrono>
#include <memory>
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
struct Schedule {
  const Job& job;
  const Prepared& prepared;
  std::atomic<std::int64_t> rays{0}, steps{0}, trace{0}, raster{0};
  std::atomic<bool> caustics{false};

  void run(std::int64_t first, int count) {
    const Plan& plan = prepared.plan;
    const std::int64_t n = plan.buckets.n_points;
    const std::unique_ptr<Node[]> nodes(new Node[std::size_t(plan.rings) * (sector + 1)]);
    const std::unique_ptr<Record[]> records(new Record[n * block]);
    const std::unique_ptr<float[]> absorption(job.absorption ? new float[n * block] : nullptr);
    std::vector<std::uint8_t> passed(n * block, 0);
    const Room room{nodes.get(), records.get(), absorption.get(), passed.data()};
    Work work;
    Clock::duration tracing{}, rastering{};
    for (int slot = 0; slot < count; ++slot) {
      const Fan& fan = prepared.fans[first + slot];
      SONORAY_DISPATCH(greens_clear, plan, slot, room);
      std::int32_t last[sector + 1] = {};
      for (int k = 0; k < fan.sectors; ++k) {
        const Clock::time_point begin = Clock::now();
        SONORAY_DISPATCH(greens_trace, plan, fan, k, room, last, work);
        const Clock::time_point middle = Clock::now();
        SONORAY_DISPATCH(greens_raster, plan, fan, slot, last, room, work);
        tracing += middle - begin;
        rastering += Clock::now() - middle;
      }
    }
    SONORAY_DISPATCH(greens_gather, plan, prepared.fans.data() + first, count, first, room, job);
    rays += work.rays;
    steps += work.steps;
    trace += std::chrono::duration_cast<std::chrono::nanoseconds>(tracing).count();
    raster += std::chrono::duration_cast<std::chrono::nanoseconds>(rastering).count();
    if (work.caustics) caustics = true;
  }
};

}  // namespace

template <>
Report fields(const Cpu& exec, const Job& job) {
  check_job(job);
  const Prepared prepared = prepare(job);
  Schedule schedule{job, prepared};
  const std::int64_t n = job.sources.shape[0];
  for_each(exec, (n + block - 1) / block, [&](std::int64_t b) {
    schedule.run(b * block, static_cast<int>(n - b * block < block ? n - b * block : block));
  });
  return {schedule.rays, schedule.steps, 1e-9 * double(schedule.trace), 1e-9 * double(schedule.raster),
          schedule.caustics};
}

}  // namespace sonoray::greens
