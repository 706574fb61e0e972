#include "rays/tracing.h"

#include "core/dispatch.h"
#include "core/error.h"
#include "core/for_each.h"
#include "rays/tracing_checks.h"
#include "rays/tracing_lanes.h"

namespace sonoray::tracing {
namespace {

template <int D>
void run(const Cpu& exec, const Job<D>& job) {
  check_job(job);
  const auto task = [](void* context, std::int64_t begin, std::int64_t end) {
    const Job<D>& j = *static_cast<const Job<D>*>(context);
    SONORAY_DISPATCH(trace_range, j, begin, end);
  };
  constexpr std::int64_t grain = 64;  // whole groups of any level
  run_ranges(exec, job.n, grain, task, const_cast<Job<D>*>(&job));
}

}  // namespace

template <>
void trace_rays(const Cpu& exec, const Job<2>& job) {
  run(exec, job);
}
template <>
void trace_rays(const Cpu& exec, const Job<3>& job) {
  run(exec, job);
}

}  // namespace sonoray::tracing
