#include "imaging/display.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/for_each.h"

namespace sonoray {
namespace {

constexpr double margin = 1e-6;  // in cells: points on the rim stay inside in spite of rounding
constexpr std::int64_t grain = 4096;

/// Fractional index of `value` on a rising axis, held inside; whether it lies there.
bool locate(const std::vector<double>& axis, double value, std::int64_t& node, float& fraction) {
  const auto last = static_cast<std::int64_t>(axis.size()) - 1;
  const bool inside =
      value >= axis[0] - margin * (axis[1] - axis[0]) && value <= axis[last] + margin * (axis[last] - axis[last - 1]);
  node = std::upper_bound(axis.begin(), axis.end(), value) - axis.begin() - 1;
  node = std::clamp<std::int64_t>(node, 0, last - 1);
  const double part = (value - axis[node]) / (axis[node + 1] - axis[node]);
  fraction = static_cast<float>(std::clamp(part, 0.0, 1.0));
  return inside;
}

}  // namespace

std::vector<display_kernel::Place> scan_places(const Cpu& exec, const DisplayProblem& problem) {
  const ScanConversion& s = *problem.scan;
  require(problem.n_rows == static_cast<std::int64_t>(s.angles.size()) &&
              problem.n_columns == static_cast<std::int64_t>(s.ranges.size()) && problem.n_rows > 1 &&
              problem.n_columns > 1,
          "display: expected a sector of at least two angles and ranges");
  constexpr double turn = 6.283185307179586;
  const double low = s.angles[0] - margin * (s.angles[1] - s.angles[0]);
  std::vector<display_kernel::Place> places(s.shape[0] * s.shape[1]);
  for_each(exec, s.shape[0], [&](std::int64_t i) {
    const double x = s.origin[0] + s.spacing[0] * i - s.apex[0];
    for (std::int64_t j = 0; j < s.shape[1]; ++j) {
      const double z = s.origin[1] + s.spacing[1] * j - s.apex[1];
      display_kernel::Place& at = places[i * s.shape[1] + j];
      std::int64_t row = 0, column = 0;
      const double angle = std::atan2(x, z);  // sectors may reach beyond -pi to pi
      const bool a = locate(s.angles, angle - turn * std::floor((angle - low) / turn), row, at.row);
      const bool b = locate(s.ranges, std::hypot(x, z), column, at.column);
      at.node = a && b ? static_cast<std::int32_t>(row * problem.n_columns + column) : -1;
    }
  });
  return places;
}

DisplayPlan::DisplayPlan(const Cpu& exec, const DisplayProblem& problem)
    : exec_(exec), problem_(problem), n_grey_(problem.n_rows * problem.n_columns), largest_(problem.n_rows) {
  require(static_cast<std::int64_t>(problem.gain.size()) == problem.n_columns, "gain: expected one value per column");
  if (!problem.complex_values && !problem.detected)
    analytic_ = std::make_unique<EnvelopePlan>(exec, problem.n_rows, problem.n_columns);
  if (problem.scan) {
    places_ = scan_places(exec, problem);
    n_grey_ = static_cast<std::int64_t>(places_.size());
  }
  problem_.scan = nullptr;
}

void DisplayPlan::detect(const float* image, float* envelope, std::int64_t row) {
  const std::int64_t n = problem_.n_columns;
  float* const to = envelope + row * n;
  float largest = 0.0f;
  bool finite = true;
  for (std::int64_t i = 0; i < n; ++i) {
    float value = display_kernel::magnitude(image, envelope, row * n + i, problem_.complex_values, problem_.detected);
    value *= problem_.gain[i];
    finite &= value <= std::numeric_limits<float>::max();  // false for NaN, too
    largest = value > largest ? value : largest;
    to[i] = value;
  }
  largest_[row] = finite ? largest : -1.0f;
}

bool DisplayPlan::operator()(const float* image, float* envelope, float* decibels, std::uint8_t* grey) {
  if (analytic_) (*analytic_)(image, envelope);
  for_each(exec_, problem_.n_rows, [&](std::int64_t row) { detect(image, envelope, row); }, 16);
  float largest = 0.0f;
  for (const float value : largest_) {
    if (value < 0.0f) return false;
    largest = std::max(largest, value);
  }
  reference_ = problem_.reference > 0.0f ? problem_.reference : largest;
  const float span = problem_.dynamic_range, floor = display_floor(span);
  const bool direct = places_.empty();
  for_each(
      exec_, problem_.n_rows * problem_.n_columns,
      [&](std::int64_t i) {
        decibels[i] = display_kernel::decibels(envelope[i], reference_, floor, span);
        if (direct) grey[i] = display_kernel::grey(decibels[i], span);
      },
      grain);
  if (direct) return true;
  for_each(
      exec_, n_grey_,
      [&](std::int64_t i) {
        const display_kernel::Place& at = places_[i];
        grey[i] =
            at.node < 0 ? 0 : display_kernel::grey(display_kernel::sample(decibels, problem_.n_columns, at), span);
      },
      grain);
  return true;
}

float display_floor(float dynamic_range) { return static_cast<float>(std::pow(10.0, -dynamic_range / 20.0)); }

std::vector<float> depth_gain(const std::vector<double>& depths, double attenuation, double frequency, double surface,
                              double max_gain) {
  std::vector<float> gain;
  gain.reserve(depths.size());
  for (const double depth : depths) {
    const double level = 2 * attenuation * frequency * 1e-6 * std::max(depth - surface, 0.0);
    gain.push_back(static_cast<float>(std::pow(10.0, std::min(level, max_gain) / 20)));
  }
  return gain;
}

}  // namespace sonoray
