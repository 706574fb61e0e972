// The host's bunches of rays: one per SIMD lane, neighbours next to each other.
#include "rays/linking_trace.h"

namespace sonoray::linking::SONORAY_LEVEL {

using Number = lanes::Wide;
constexpr int width = lanes::count<Number>;

template <int D>
SONORAY_INLINE void all_of_fan(const FanTask<D>& task) {
  for (int i = task.first; i < task.first + task.n; i += width) trace_fan<D, Number>(task, i);
}

template <int D>
SONORAY_INLINE void all_trials(const TrialTask<D>& task) {
  for (std::int64_t i = 0; i < task.n; i += width) trace_trials<D, Number>(task, i);
}

template <int D>
SONORAY_INLINE void all_paths(const PathTask<D>& task) {
  for (std::int64_t i = 0; i < task.n; i += width) trace_paths<D, Number>(task, i);
}

void link_fan(const FanTask<2>& task) { all_of_fan<2>(task); }
void link_fan(const FanTask<3>& task) { all_of_fan<3>(task); }
void link_trials(const TrialTask<2>& task) { all_trials<2>(task); }
void link_trials(const TrialTask<3>& task) { all_trials<3>(task); }
void link_trace_paths(const PathTask<2>& task) { all_paths<2>(task); }
void link_trace_paths(const PathTask<3>& task) { all_paths<3>(task); }

}  // namespace sonoray::linking::SONORAY_LEVEL
