#include "capi/tables.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/for_each.h"

namespace sonoray::capi {
namespace {

constexpr int batch = 16;  // sources per solve: full-resolution times of all elements need not fit in memory
constexpr double coarsest = 0.0499;
constexpr const char* computed = "transmits: arrival times that elements (none on top of another) and delays give";

/// Evenly spaced nodes from the first to the last image point, at most `spacing` apart, inside the medium.
EikonalGrid table_grid(const Settings& s, double spacing) {
  EikonalGrid to = *s.map;
  for (int i = 0; i < to.ndim; ++i) {
    const int axis = to.ndim == 2 && i == 1 ? 2 : i;
    const double h = s.map->spacing[i], first = s.map->origin[i], last = first + h * (s.map->shape[i] - 1);
    double low = 1e300, high = -1e300;
    for (const waves::Point& p : s.waves.points) {
      low = std::min(low, p[axis]);
      high = std::max(high, p[axis]);
    }
    low = std::max(low, first);
    high = std::min(high, last);
    if (high - low < h) {  // a single column of points: two nodes around it, inside the medium
      if (low + h <= last + 1e-6 * h) {
        high = low + h;
      } else {
        low = high - h;
      }
      low = std::max(low, first);
      high = std::min(std::max(high, low + 1e-6), last + 1e-6);
    }
    const double step = std::min(std::max(spacing, h), coarsest);
    const auto cells = static_cast<std::int64_t>(std::max(1.0, std::ceil((high - low) / step - 1e-6)));
    to.shape[i] = cells + 1;
    to.spacing[i] = (high - low) / static_cast<double>(cells);
    to.origin[i] = low;
  }
  return to;
}

/// A field on `from` at the nodes of `to`, multilinearly.
void resample(const EikonalGrid& from, const float* field, const EikonalGrid& to, float* out) {
  const int n = to.ndim;
  for (std::int64_t k = 0; k < to.size(); ++k) {
    std::int64_t rest = k, base = 0, step[3], stride = 1;
    double part[3], sum = 0.0;
    for (int i = n - 1; i >= 0; rest /= to.shape[i], stride *= from.shape[i], --i) {
      const double last = static_cast<double>(from.shape[i] - 1);
      const double at = std::clamp(
          (to.origin[i] + to.spacing[i] * (rest % to.shape[i]) - from.origin[i]) / from.spacing[i], 0.0, last);
      const std::int64_t node = std::min(static_cast<std::int64_t>(at), std::max<std::int64_t>(from.shape[i] - 2, 0));
      part[i] = at - static_cast<double>(node);
      base += node * stride;
      step[i] = from.shape[i] > 1 ? stride : 0;
    }
    for (int corner = 0; corner < 1 << n; ++corner) {
      double weight = 1.0;
      std::int64_t at = base;
      for (int i = 0; i < n; ++i) {
        weight *= (corner >> i & 1) ? part[i] : 1.0 - part[i];
        at += (corner >> i & 1) ? step[i] : 0;
      }
      sum += weight * field[at];
    }
    out[k] = static_cast<float>(sum);
  }
}

/// Refuses what no medium gives, NaN too. `name` says whose times they are.
void check_times(const char* name, const std::vector<float>& times) {
  for (const float t : times)
    if (!(t >= -0.1f && t <= 0.1f)) scalar(name, t, -0.1, 0.1, "s");
}

waves::TransmitProblem problem_of(const Settings& s, double speed, const waves::SlownessTable* table) {
  waves::TransmitProblem p = s.waves;
  p.speed = speed;
  p.table = table;
  if (s.config.center_frequency > 0) p.wavelength = speed / s.config.center_frequency;
  return p;
}

}  // namespace

void Tables::set_speed(const Cpu& maker, const Settings& s, double speed) {
  tabulated_ = false;
  speed_ = speed;
  tx_time_.resize(s.config.n_transmits * s.n_points());
  transmit_times(maker, problem_of(s, speed, nullptr), tx_time_.data());
  check_times(computed, tx_time_);
}

void Tables::set_grid(const EikonalGrid& g, std::int64_t n_elements) {
  for (int d = 0; d < 3; ++d) {
    const int i = g.ndim == 3 ? d : d == 2 ? 1 : d;
    const bool flat = g.ndim == 2 && d == 1;
    table_.shape[d] = flat ? 1 : g.shape[i];
    table_.origin[d] = flat ? 0.0 : g.origin[i];
    table_.spacing[d] = flat ? 1.0 : g.spacing[i];
  }
  table_.values.resize(n_elements * g.size());
  tabulated_ = true;
}

void Tables::set_map(const Cpu& maker, const Settings& s, const float* sound_speed) {
  const EikonalGrid& from = *s.map;
  std::vector<float> slowness(from.size());
  float largest = 0.0f;
  for (std::int64_t i = 0; i < from.size(); ++i) {
    const double c = sound_speed[i];
    if (!(c >= 300 && c <= 12000)) scalar(("sound_speed[" + std::to_string(i) + "]").c_str(), c, 300, 12000, "m/s");
    slowness[i] = static_cast<float>(1.0 / c);
    largest = std::max(largest, slowness[i]);
  }
  const EikonalGrid to = table_grid(s, s.config.table_spacing);
  const std::int64_t n = s.config.n_elements;
  set_grid(to, n);
  std::vector<float> solved(std::min<std::int64_t>(batch, n) * from.size());
  for (std::int64_t first = 0; first < n; first += batch) {
    const std::int64_t some = std::min<std::int64_t>(batch, n - first);
    eikonal_points(maker, from, EikonalParams{40, largest}, {slowness.data(), {from.size()}},
                   View<const double, 2>{s.waves.elements[first].data(), {some, 3}}, true,
                   View<float, 2>{solved.data(), {some, from.size()}});
    for_each(maker, some, [&](std::int64_t k) {
      resample(from, solved.data() + k * from.size(), to, table_.values.data() + (first + k) * to.size());
    });
  }
  double sum = 0.0;
  for (const float value : table_.values) sum += value;
  speed_ = static_cast<double>(table_.values.size()) / sum;
  tx_time_.resize(s.config.n_transmits * s.n_points());
  transmit_times(maker, problem_of(s, speed_, &table_), tx_time_.data());
  check_times(computed, tx_time_);
}

void Tables::set_given(const Settings& s, const float* times, const float* slowness, const EikonalGrid* table) {
  tx_time_.assign(times, times + s.config.n_transmits * s.n_points());
  check_times("times", tx_time_);
  tabulated_ = false;
  speed_ = s.config.sound_speed;
  if (!slowness) return;
  set_grid(*table, s.config.n_elements);
  std::copy_n(slowness, table_.values.size(), table_.values.begin());
  for (const float value : table_.values)
    if (!(value >= 8e-5f && value <= 3.4e-3f)) scalar("slowness", value, 8e-5, 3.4e-3, "s/m");
}

std::int64_t Tables::nodes(const Settings& s) { return s.map ? table_grid(s, s.config.table_spacing).size() : 0; }

DasProblem Tables::problem(const Settings& s) const {
  constexpr float pedestal[] = {0.5f, 0.5f, 0.54f, 0.5f};
  const float taper[] = {0.0f, 1.0f, 1.0f, static_cast<float>(s.config.tukey_taper)};
  const std::int64_t n = s.n_points(), n_rx = s.config.n_elements, n_tx = s.config.n_transmits;
  DasProblem p{};
  p.n_rows = s.n_rows;
  p.n_columns = s.n_columns;
  p.points = {s.points.data(), {n, 3}};
  p.elements = {s.elements.data(), {n_rx, 3}};
  p.normals = {s.normals.data(), {n_rx, 3}};
  p.tx_time = {tx_time_.data(), {n_tx, n}};
  if (!s.tx_weight.empty()) p.tx_weight = {s.tx_weight.data(), {n_tx, n}};
  p.start = {s.start.data(), {n_tx, 2}};
  if (tabulated_) {
    const std::int64_t* shape = table_.shape;
    p.rx_slowness = {table_.values.data(), {n_rx, shape[0], shape[1], shape[2]}};
    for (int d = 0; d < 3; ++d) {
      p.table_origin[d] = static_cast<float>(table_.origin[d]);
      p.table_rate[d] = shape[d] > 1 ? static_cast<float>(1.0 / table_.spacing[d]) : 0.0f;
    }
  }
  p.slowness = static_cast<float>(1.0 / speed_);
  p.sampling_frequency = static_cast<float>(s.config.sampling_frequency);
  p.demodulation_frequency = static_cast<float>(s.config.demodulation_frequency);
  p.f_number = static_cast<float>(s.config.f_number);
  p.pedestal = pedestal[s.config.window];
  p.taper = taper[s.config.window];
  p.wavelengths = s.config.element_width < 0 ? -1.0f : static_cast<float>(s.config.element_width);
  p.cubic = s.config.interpolation == SONORAY_CUBIC;
  p.compounding = s.config.compounding == SONORAY_COHERENT ? Compounding::coherent : Compounding::incoherent;
  return p;
}

}  // namespace sonoray::capi
