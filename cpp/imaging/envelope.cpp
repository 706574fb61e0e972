#include "imaging/envelope.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/dispatch.h"
#include "core/error.h"
#include "core/for_each.h"
#include "imaging/envelope_levels.h"

namespace sonoray {

std::vector<float> envelope_roots(std::int64_t n) {
  std::vector<float> roots(2 * n);
  const double turn = -2 * 3.14159265358979323846 / static_cast<double>(n);
  for (std::int64_t k = 0; k < n; ++k) {
    roots[2 * k] = static_cast<float>(std::cos(turn * k));
    roots[2 * k + 1] = static_cast<float>(std::sin(turn * k));
  }
  return roots;
}

std::vector<int> envelope_factors(std::int64_t n) {
  std::vector<int> factors;
  std::int64_t rest = n;
  for (std::int64_t r = 4; rest > 1; r = r == 4 ? 2 : r == 2 ? 3 : r + 2) {
    if (r * r > rest && r > 4) r = rest;
    for (; rest % r == 0; rest /= r) factors.push_back(static_cast<int>(r));
  }
  return factors;
}

EnvelopePlan::EnvelopePlan(const Cpu& exec, std::int64_t n_rows, std::int64_t n)
    : exec_(exec), n_rows_(n_rows), n_(n), workers_(0) {
  require(n_rows > 0 && n > 0, "envelope: expected rows of at least one number");
  roots_ = envelope_roots(n);
  factors_ = envelope_factors(n);
  workers_ = std::min<std::int64_t>(thread_count(exec), (n_rows + envelope_rows - 1) / envelope_rows);
  memory_.resize(workers_ * envelope_scratch(n) + 16);
}

void EnvelopePlan::operator()(const float* rf, float* envelope) {
  const EnvelopeTables tables{n_, roots_.data(), factors_.data(), static_cast<int>(factors_.size())};
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
  float* const aligned = memory_.data() + (64 - address % 64) % 64 / sizeof(float);
  std::atomic<std::int64_t> next{0};
  for_each(exec_, workers_, [&](std::int64_t worker) {
    float* const scratch = aligned + worker * envelope_scratch(n_);
    for (std::int64_t first; (first = envelope_rows * next++) < n_rows_;) {
      const int rows = static_cast<int>(std::min<std::int64_t>(envelope_rows, n_rows_ - first));
      SONORAY_DISPATCH(envelope_block, tables, rf + first * n_, rows, envelope + first * n_, scratch);
    }
  });
}

}  // namespace sonoray
