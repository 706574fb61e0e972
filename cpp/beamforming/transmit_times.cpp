#include "beamforming/transmit_times.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/for_each.h"

namespace sonoray::waves {
namespace {

constexpr int fit_steps = 8;  // to the focus that the elements' waves make

double travel_time(const TransmitProblem& p, std::int64_t element, const Point& at) {
  const double distance = norm(at - p.elements[element]);
  return p.table ? distance * (*p.table)(element, at) : distance / p.speed;
}

/// One transmit that has no formula: its firing elements and what stands around its focus.
struct Wave {
  std::int64_t transmit;
  std::vector<std::int64_t> firing;
  std::vector<double> fired;
  std::unique_ptr<Aperture> aperture;
  std::optional<FocusModel> focus;
  bool focusing;
};

/// Point near the intended focus where the elements' waves arrive together most nearly.
Point true_focus(const TransmitProblem& p, const Wave& wave, const std::vector<Point>& firing, const Point& intended) {
  const std::size_t n = firing.size();
  Point best = intended, at = intended;
  double smallest = std::numeric_limits<double>::infinity();
  const double longest = 0.3 * norm(intended - mean(firing));
  for (int k = 0; k < fit_steps; ++k) {
    std::vector<double> rest(n);
    std::vector<Point> slope(n);
    double sum = 0.0, square = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += rest[i] = wave.fired[i] + travel_time(p, wave.firing[i], at);
    for (double& r : rest) {
      r -= sum / static_cast<double>(n);
      square += r * r;
    }
    if (!(square < smallest)) break;
    best = at;
    smallest = square;
    for (std::size_t i = 0; i < n; ++i) {
      slope[i] = at - firing[i];
      const double length = std::max(norm(slope[i]), 1e-9) * p.speed;
      for (double& s : slope[i]) s /= length;
    }
    const Point middle = mean(slope);
    double normal[4][4] = {}, values[4], axes[4][4];
    Point right{}, step{};
    for (std::size_t i = 0; i < n; ++i) {
      const Point a = slope[i] - middle;
      for (int c = 0; c < 3; ++c) {
        right[c] -= a[c] * rest[i];
        for (int d = 0; d < 3; ++d) normal[c][d] += a[c] * a[d];
      }
    }
    eigen(normal, 3, values, axes);
    for (int c = 0; c < 3; ++c) {
      // Directions that the aperture does not resolve (out of a row's plane, a nearly plane wave's depth) stay.
      if (values[c] <= 1e-6 * values[2]) continue;
      const Point axis{axes[0][c], axes[1][c], axes[2][c]};
      const double part = dot(axis, right) / values[c];
      for (int d = 0; d < 3; ++d) step[d] += part * axis[d];
    }
    const double factor = std::min(1.0, longest / std::max(norm(step), 1e-12));
    for (int d = 0; d < 3; ++d) at[d] += factor * step[d];
  }
  return best;
}

std::vector<Point> positions_of(const TransmitProblem& p, const std::vector<std::int64_t>& firing) {
  std::vector<Point> result;
  for (const std::int64_t e : firing) result.push_back(p.elements[e]);
  return result;
}

Wave make_wave(const TransmitProblem& p, std::int64_t index) {
  const Transmit& t = p.transmits[index];
  Wave wave{index, {}, {}, nullptr, std::nullopt, false};
  const std::vector<double> fired = firing_times(p, t);
  for (std::size_t e = 0; e < fired.size(); ++e) {
    if (std::isnan(fired[e])) continue;
    wave.firing.push_back(static_cast<std::int64_t>(e));
    wave.fired.push_back(fired[e]);
  }
  require(!wave.firing.empty(),
          "transmits[" + std::to_string(index) + "]: expected at least one firing element, got none");
  const std::vector<Point> firing = positions_of(p, wave.firing);
  wave.aperture = std::make_unique<Aperture>(firing);
  wave.focusing = t.kind == TransmitKind::focused || t.kind == TransmitKind::delays;
  if (t.kind == TransmitKind::focused && firing.size() > 1)
    wave.focus.emplace(true_focus(p, wave, firing, t.focus), firing, p.speed, p.wavelength);
  return wave;
}

/// Plane wave from a flat array in another speed: delays keep the slowness along the array (Snell). Slowness vector, or
/// none where there is no such wave.
std::optional<Point> refracted(const TransmitProblem& p, const Transmit& t) {
  const Point normal = p.normals[0], first = p.elements[0];
  std::vector<Point> basis;
  for (std::size_t e = 0; e < p.elements.size(); ++e) {
    const Point offset = p.elements[e] - first, tilt = p.normals[e] - normal;
    if (std::fabs(dot(offset, normal)) > 1e-9 || norm(tilt) > 1e-9) return std::nullopt;
  }
  const double d = dot(t.direction, normal);
  Point along = t.direction, rest;
  for (int c = 0; c < 3; ++c) along[c] -= d * normal[c];
  for (int k = 0; k < 2; ++k) {  // directions in which the array extends
    Point longest{};
    for (const Point& e : p.elements) {
      Point r = e - first;
      for (const Point& b : basis) {
        const double part = dot(r, b);
        for (int c = 0; c < 3; ++c) r[c] -= part * b[c];
      }
      if (dot(r, r) > dot(longest, longest)) longest = r;
    }
    const double length = norm(longest);
    if (length <= 1e-9) break;
    for (double& v : longest) v /= length;
    basis.push_back(longest);
  }
  rest = along;
  for (const Point& b : basis) {
    const double part = dot(rest, b);
    for (int c = 0; c < 3; ++c) rest[c] -= part * b[c];
  }
  const double steep = 1.0 / (p.speed * p.speed) - dot(along, along) / (p.sequence_speed * p.sequence_speed);
  if (norm(rest) > 1e-9 || steep <= 0 || d <= 0) return std::nullopt;
  for (int c = 0; c < 3; ++c) along[c] = along[c] / p.sequence_speed + std::sqrt(steep) * normal[c];
  return along;
}

/// Straight paths, where a formula exists; false where the wave must be composed from the elements'.
bool closed_form(const Cpu& exec, const TransmitProblem& p, const Transmit& t, float* times) {
  if (t.kind == TransmitKind::delays || p.table) return false;
  const auto n = static_cast<std::int64_t>(p.points.size());
  const auto each = [&](auto time) {
    for_each(exec, n, [&](std::int64_t i) { times[i] = static_cast<float>(time(p.points[i])); }, 4096);
    return true;
  };
  if (t.kind == TransmitKind::element)
    return each([&](const Point& at) { return norm(at - p.elements[t.element]) / p.speed; });
  std::vector<std::int64_t> firing;
  for (std::size_t e = 0; e < t.fires.size(); ++e)
    if (t.fires[e]) firing.push_back(static_cast<std::int64_t>(e));
  if (firing.size() < 2) return false;  // one element makes a circular wave
  if (std::fabs(p.speed - p.sequence_speed) > 1e-9 * p.speed) {
    if (t.kind != TransmitKind::plane) return false;
    const auto slowness = refracted(p, t);
    if (!slowness) return false;
    const Point from = p.elements[firing[0]];
    const double fired = firing_times(p, t)[firing[0]];
    return each([&](const Point& at) { return fired + dot(at - from, *slowness); });
  }
  if (t.kind == TransmitKind::plane)
    return each([&](const Point& at) { return dot(at - t.origin, t.direction) / p.speed; });
  const double at_origin = norm(t.origin - t.focus);
  if (t.kind == TransmitKind::diverging)
    return each([&](const Point& at) { return (norm(at - t.focus) - at_origin) / p.speed; });
  const std::vector<Point> positions = positions_of(p, firing);
  Point axis = t.focus - mean(positions);
  const double length = norm(axis);
  require(length >= 1e-9, "focus: expected a point away from the aperture's centre");
  for (double& a : axis) a /= length;
  const SignedDistance distance(t.focus, positions, axis, p.wavelength);
  return each([&](const Point& at) { return (at_origin + distance(at)) / p.speed; });
}

/// Fills the rows of all `waves`; travel times to a point are computed once for all of them.
void compose(const Cpu& exec, const TransmitProblem& p, const std::vector<Wave>& waves, float* times) {
  const auto n = static_cast<std::int64_t>(p.points.size());
  const double flat_time = 0.25 * p.wavelength / p.speed;
  const std::int64_t grain = 256;
  for_each(exec, (n + grain - 1) / grain, [&](std::int64_t block) {
    std::vector<double> travel(p.elements.size()), phase(p.elements.size());
    Scratch scratch;
    for (std::int64_t i = block * grain; i < std::min(n, (block + 1) * grain); ++i) {
      const Point& at = p.points[i];
      for (std::size_t e = 0; e < travel.size(); ++e) travel[e] = travel_time(p, static_cast<std::int64_t>(e), at);
      for (const Wave& w : waves) {
        for (std::size_t k = 0; k < w.firing.size(); ++k) phase[k] = w.fired[k] + travel[w.firing[k]];
        double near = 0.0;
        double time = wave_arrival(*w.aperture, phase.data(), w.focusing, flat_time, scratch, near);
        if (w.focus && near > 0.0) time += near * w.focus->excess(*w.aperture, at, flat_time, scratch);
        times[w.transmit * n + i] = static_cast<float>(time);
      }
    }
  });
}

}  // namespace

double SlownessTable::operator()(std::int64_t element, const Point& p) const {
  std::int64_t node[3], step[3] = {shape[1] * shape[2], shape[2], 1};
  double part[3], sum = 0.0;
  for (int d = 0; d < 3; ++d) {
    const double last = static_cast<double>(shape[d] - 1);
    const double at = shape[d] > 1 ? std::clamp((p[d] - origin[d]) / spacing[d], 0.0, last) : 0.0;
    node[d] = std::min(static_cast<std::int64_t>(at), std::max<std::int64_t>(shape[d] - 2, 0));
    part[d] = at - static_cast<double>(node[d]);
    if (shape[d] == 1) step[d] = 0;
  }
  const float* const corner =
      values.data() + ((element * shape[0] + node[0]) * shape[1] + node[1]) * shape[2] + node[2];
  for (int k = 0; k < 8; ++k) {
    double weight = 1.0;
    std::int64_t at = 0;
    for (int d = 0; d < 3; ++d) {
      weight *= (k >> d & 1) ? part[d] : 1.0 - part[d];
      at += (k >> d & 1) ? step[d] : 0;
    }
    if (weight != 0.0) sum += weight * corner[at];
  }
  return sum;
}

std::vector<double> firing_times(const TransmitProblem& p, const Transmit& t) {
  const std::size_t n = p.elements.size();
  const double silent = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> times(n, silent);
  for (std::size_t e = 0; e < n; ++e) {
    if (!t.fires[e]) continue;
    if (t.kind == TransmitKind::delays) {
      times[e] = t.delays[e];
    } else if (t.kind == TransmitKind::element) {
      times[e] = static_cast<std::int64_t>(e) == t.element ? 0.0 : silent;
    } else if (t.kind == TransmitKind::plane) {
      times[e] = dot(p.elements[e] - t.origin, t.direction) / p.sequence_speed;
    } else {
      const double sign = t.kind == TransmitKind::diverging ? 1.0 : -1.0;
      times[e] = sign * (norm(p.elements[e] - t.focus) - norm(t.origin - t.focus)) / p.sequence_speed;
    }
  }
  return times;
}

void transmit_times(const Cpu& exec, const TransmitProblem& p, float* times) {
  const auto n = static_cast<std::int64_t>(p.points.size());
  std::vector<Wave> waves;
  for (std::size_t i = 0; i < p.transmits.size(); ++i) {
    const Transmit& t = p.transmits[i];
    float* const row = times + static_cast<std::int64_t>(i) * n;
    if (t.kind == TransmitKind::times) {
      std::copy(t.times.begin(), t.times.end(), row);
    } else if (!closed_form(exec, p, t, row)) {
      waves.push_back(make_wave(p, static_cast<std::int64_t>(i)));
    }
  }
  if (!waves.empty()) compose(exec, p, waves, times);
}

}  // namespace sonoray::waves
