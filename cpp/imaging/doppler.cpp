// Tiles of pixels on threads.
#include "imaging/doppler.h"

#include <vector>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "imaging/doppler_kernel.h"
#include "imaging/doppler_levels.h"

namespace sonoray {

namespace {

template <class Range>
void run(const Cpu& exec, std::int64_t n, std::int64_t grain, Range& range) {
  run_ranges(
      exec, n, grain,
      [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Range*>(context))(begin, end); }, &range);
}

}  // namespace

template <>
void doppler_moments(const Cpu& exec, View<const std::complex<float>, 2> frames, const SlowTimeFilter& filter,
                     const DopplerMoments& to) {
  doppler_kernel::check_moments(frames, filter, to);
  const std::size_t scratch = static_cast<std::size_t>(doppler_scratch(frames.shape[0], filter));
  auto range = [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> rows(scratch);
    SONORAY_DISPATCH(doppler_tiles, frames, filter, to, rows.data(), begin, end);
  };
  run(exec, (frames.shape[1] + kDopplerTile - 1) / kDopplerTile, 16, range);
}

template <>
void doppler_phase(const Cpu& exec, View<const std::complex<float>, 1> values, float scale, View<float, 1> out) {
  doppler_kernel::check_phase(values, out);
  auto range = [&](std::int64_t begin, std::int64_t end) {
    SONORAY_DISPATCH(doppler_angles, values.data, scale, out.data, begin, end);
  };
  run(exec, out.shape[0], 1 << 14, range);
}

}  // namespace sonoray
