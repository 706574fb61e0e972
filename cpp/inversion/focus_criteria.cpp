#include "inversion/focus_criteria.h"

#include <memory>
#include <mutex>
#include <vector>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "inversion/focus_criteria_checks.h"
#include "inversion/focus_criteria_levels.h"

namespace sonoray {

namespace {

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
  focus_kernel::check_problem(p);
  focus_kernel::check_sub_aperture(p, sub_aperture);
  focus_kernel::check_pairs(p, sub_aperture, correlation, "correlation");
  focus_kernel::check_pairs(p, sub_aperture, energy, "energy");
  const FocusSizes sizes(p, sub_aperture, false);
  const std::int64_t n = correlation.shape[1] * correlation.shape[2];
  Rooms rooms(sizes);
  for_each(exec, correlation.shape[0], [&](std::int64_t i) {
    rooms.with([&](float* room) {
      SONORAY_DISPATCH(focus_correlate, p, sizes, i, room, correlation.data + i * n, energy.data + i * n);
    });
  });
}

}  // namespace sonoray
