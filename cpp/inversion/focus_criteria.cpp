#include "inversion/focus_criteria.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "inversion/focus_criteria_checks.h"
#include "inversion/focus_criteria_kernel.h"
#include "inversion/focus_criteria_levels.h"

namespace sonoray {

namespace {

constexpr std::int64_t block = 16;  // points of an image at a time

void check(const FocusProblem& p) {
  focus_kernel::check_problem(p);
  require(p.margin == focus_margin, "margin: expected 4, got " + std::to_string(p.margin));
}

/// Memory for the patches that threads work on at a time, each in one block.
class Rooms {
 public:
  explicit Rooms(const FocusSizes& sizes) : size_(FocusRoom(sizes).total) {}

  template <class F>
  void with(const F& work) {
    std::unique_ptr<std::vector<float>> room;
    {
      const std::lock_guard<std::mutex> guard(lock_);
      if (!idle_.empty()) {
        room = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    if (!room) room = std::make_unique<std::vector<float>>(size_);
    work(room->data());
    const std::lock_guard<std::mutex> guard(lock_);
    idle_.push_back(std::move(room));
  }

 private:
  std::size_t size_;
  std::mutex lock_;
  std::vector<std::unique_ptr<std::vector<float>>> idle_;
};

}  // namespace

template <>
void focus_correlations(const Cpu& exec, const FocusProblem& p, std::int64_t sub_aperture,
                        View<std::complex<float>, 3> correlation, View<float, 3> energy) {
  check(p);
  focus_kernel::check_sub_aperture(p, sub_aperture);
  focus_kernel::check_pairs(p, sub_aperture, correlation, "correlation");
  focus_kernel::check_pairs(p, sub_aperture, energy, "energy");
  const FocusSizes sizes(p, p.n_kernel, sub_aperture, false);
  const std::int64_t n = correlation.shape[1] * correlation.shape[2];
  Rooms rooms(sizes);
  for_each(exec, correlation.shape[0], [&](std::int64_t i) {
    rooms.with([&](float* room) {
      SONORAY_DISPATCH(focus_correlate, p, sizes, i * p.n_kernel, room, correlation.data + i * n, energy.data + i * n);
    });
  });
}

template <>
void focus_loss(const Cpu& exec, const FocusProblem& p, const FocusCriterion& criterion, View<double, 1> loss,
                View<float, 2> tx_slope, View<float, 2> rx_slope) {
  const bool of_phases = criterion.measure == FocusMeasure::phase_error;
  check(p);
  focus_kernel::check_slopes(p, tx_slope, rx_slope, false);
  if (of_phases) focus_kernel::check_sub_aperture(p, criterion.sub_aperture);
  require(loss.shape[0] == 1, "loss: expected room for one number");
  const std::int64_t n_patches = p.tx_time.shape[1] / p.n_kernel;
  const FocusSizes sizes(p, p.n_kernel, of_phases ? criterion.sub_aperture : 0, tx_slope.data != nullptr);
  std::vector<double> sums(2 * n_patches);
  Rooms rooms(sizes);
  for_each(exec, n_patches, [&](std::int64_t i) {
    rooms.with([&](float* room) {
      SONORAY_DISPATCH(focus_score, p, criterion, sizes, i * p.n_kernel, room, sums.data() + 2 * i, tx_slope.data,
                       rx_slope.data);
    });
  });
  double total = 0.0, count = 0.0;  // always in the same order
  for (std::int64_t i = 0; i < n_patches; ++i) {
    total += sums[2 * i];
    count += sums[2 * i + 1];
  }
  *loss.data = focus_kernel::mean_loss(criterion, total, count);
  const auto factor = static_cast<float>(count > 0.0 ? 1.0 / count : 0.0);
  for (const View<float, 2>& slope : {tx_slope, rx_slope}) {
    if (!slope) continue;
    for_each(exec, slope.shape[0], [&](std::int64_t row) {
      float* x = slope.data + row * slope.shape[1];
      for (std::int64_t i = 0; i < slope.shape[1]; ++i) x[i] *= factor;
    });
  }
}

template <>
void focus_image_slopes(const Cpu& exec, const FocusProblem& p, View<const std::complex<float>, 1> cotangent,
                        View<float, 2> tx_slope, View<float, 2> rx_slope) {
  check(p);
  focus_kernel::check_slopes(p, tx_slope, rx_slope, true);
  const std::int64_t n = p.tx_time.shape[1];
  require(cotangent.shape[0] == n, "cotangent: expected one number per point");
  const FocusSizes sizes(p, block, 0, false);
  Rooms rooms(sizes);
  for_each(exec, (n + block - 1) / block, [&](std::int64_t i) {
    const std::int64_t first = i * block;
    const FocusSizes some(p, n - first < block ? n - first : block, 0, false);
    rooms.with([&](float* room) {
      SONORAY_DISPATCH(focus_slopes, p, some, first, room, cotangent.data, tx_slope.data, rx_slope.data);
    });
  });
}

}  // namespace sonoray
