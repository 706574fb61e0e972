#include "inversion/born.h"

#include "core/dispatch.h"
#include "core/for_each.h"
#include "inversion/born_kernel.h"
#include "inversion/born_levels.h"

namespace sonoray {

namespace {

constexpr std::int64_t grain = 16;  // points: some ten thousand waves, long against waking a thread

template <class Range>
void run(const Cpu& exec, std::int64_t n, Range& range) {
  run_ranges(
      exec, n, grain,
      [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Range*>(context))(begin, end); }, &range);
}

}  // namespace

template <>
void born_waves(const Cpu& exec, const BornWaves& w, View<std::complex<float>, 3> out) {
  born_kernel::check_waves(w, out);
  auto range = [&](std::int64_t begin, std::int64_t end) { SONORAY_DISPATCH(born_rows, w, out, begin, end); };
  run(exec, out.shape[1], range);
}

template <>
void born_rowdot(const Cpu& exec, View<const std::complex<float>, 3> a, View<const std::complex<float>, 3> b,
                 View<const float, 1> factor, View<std::complex<float>, 1> out) {
  born_kernel::check_rowdot(a, b, factor, out);
  auto range = [&](std::int64_t begin, std::int64_t end) {
    SONORAY_DISPATCH(born_dots, a, b, factor.data, out.data, begin, end);
  };
  run(exec, out.shape[0], range);
}

}  // namespace sonoray
