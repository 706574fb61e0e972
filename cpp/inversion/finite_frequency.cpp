#include "inversion/finite_frequency.h"

#include <vector>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "inversion/finite_frequency_kernel.h"
#include "inversion/finite_frequency_levels.h"

namespace sonoray {

namespace {

/// (elements, blocks): earliest time in each block, by which a pair passes over what its zones do not touch.
std::vector<float> earliest(const View<const float, 2>& time) {
  const std::int64_t blocks = time.shape[1] / kFresnelBlock;
  std::vector<float> result(static_cast<std::size_t>(time.shape[0] * blocks));
  for (std::int64_t k = 0; k < time.shape[0] * blocks; ++k) {
    const float* t = time.data + k * kFresnelBlock;
    float least = t[0];
    for (int i = 1; i < kFresnelBlock; ++i) least = t[i] < least ? t[i] : least;
    result[static_cast<std::size_t>(k)] = least;
  }
  return result;
}

void check_indices(const FresnelSetup& s) {
  for (std::int64_t p = 0; p < s.pairs.shape[0]; ++p)
    require(s.pairs(p, 0) >= 0 && s.pairs(p, 0) < s.tx_time.shape[0] && s.pairs(p, 1) >= 0 &&
                s.pairs(p, 1) < s.rx_time.shape[0],
            "pairs: expected indices of emitters and receivers");
}

template <class Range>
void run(const Cpu& exec, std::int64_t n, std::int64_t grain, Range& range) {
  run_ranges(
      exec, n, grain,
      [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Range*>(context))(begin, end); }, &range);
}

}  // namespace

template <>
void finite_frequency_forward(const Cpu& exec, const FresnelSetup& s, View<const float, 1> change,
                              View<float, 1> delay) {
  check_fresnel(s, delay.shape[0], change.shape[0]);
  check_indices(s);
  const std::vector<float> tx = earliest(s.tx_time), rx = earliest(s.rx_time);
  auto range = [&](std::int64_t begin, std::int64_t end) {
    SONORAY_DISPATCH(fresnel_forward, s, tx.data(), rx.data(), change.data, delay.data, begin, end);
  };
  run(exec, delay.shape[0], 16, range);
}

template <>
void finite_frequency_adjoint(const Cpu& exec, const FresnelSetup& s, View<const float, 1> weight,
                              View<float, 1> image) {
  check_fresnel(s, weight.shape[0], image.shape[0]);
  check_indices(s);
  const std::vector<float> tx = earliest(s.tx_time), rx = earliest(s.rx_time);
  auto range = [&](std::int64_t begin, std::int64_t end) {
    SONORAY_DISPATCH(fresnel_adjoint, s, tx.data(), rx.data(), weight.data, image.data, begin, end);
  };
  run(exec, image.shape[0] / kFresnelBlock, 1, range);
}

}  // namespace sonoray
