#include "capi/settings.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace sonoray::capi {
namespace {

constexpr std::int64_t most_points = std::int64_t(1) << 28, most_times = std::int64_t(1) << 31;

std::int64_t count(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
  require(value >= low && value <= high, std::string(name) + ": expected " + std::to_string(low) + " to " +
                                             std::to_string(high) + ", got " + std::to_string(value));
  return value;
}

void given(const char* name, const void* pointer) {
  require(pointer != nullptr, std::string(name) + ": expected an array, got NULL");
}

template <class T>
std::vector<T> copied(const std::string& name, const T* from, std::int64_t n, double low, double high,
                      const char* unit) {
  given(name.c_str(), from);
  for (std::int64_t i = 0; i < n; ++i)
    if (!(from[i] >= low && from[i] <= high))
      scalar((name + "[" + std::to_string(i) + "]").c_str(), from[i], low, high, unit);
  return std::vector<T>(from, from + n);
}

waves::Point triple(const std::string& name, const double* from) {
  waves::Point p;
  for (int d = 0; d < 3; ++d) p[d] = scalar((name + "[" + std::to_string(d) + "]").c_str(), from[d], -4, 4, "m");
  return p;
}

void check_reserved(const sonoray_grid& grid, const std::string& name) {
  for (const std::int64_t word : grid.reserved)
    require(word == 0, name + ".reserved: expected 0, got " + std::to_string(word) + "; zero the struct first");
}

void read_probe(Settings& s) {
  const sonoray_config& c = s.config;
  const std::int64_t n = count("n_elements", c.n_elements, 1, 65536);
  s.elements = copied("elements", c.elements, 3 * n, -4, 4, "m");
  if (c.normals) {
    s.normals = copied("normals", c.normals, 3 * n, -1.001, 1.001, "(unit vectors)");
  } else {
    s.normals.resize(3 * n);
    for (std::int64_t e = 0; e < n; ++e) s.normals[3 * e + 2] = 1.0f;
  }
  for (std::int64_t e = 0; e < n; ++e) {
    const float *at = &s.elements[3 * e], *normal = &s.normals[3 * e];
    s.waves.elements.push_back({at[0], at[1], at[2]});
    s.waves.normals.push_back({normal[0], normal[1], normal[2]});
    scalar(("length of normals[" + std::to_string(e) + "]").c_str(), waves::norm(s.waves.normals.back()), 0.999, 1.001,
           "(unit vectors)");
  }
}

/// Points of the image, depths along its last axis, and its table of rows and columns.
void read_grid(Settings& s) {
  const sonoray_grid& g = s.config.grid;
  require(g.kind == SONORAY_GRID_CARTESIAN || g.kind == SONORAY_GRID_SECTOR,
          "grid.kind: expected SONORAY_GRID_CARTESIAN or SONORAY_GRID_SECTOR, got " + std::to_string(g.kind));
  const auto add = [&](double x, double y, double z) {
    s.waves.points.push_back({x, y, z});
    for (const double v : {x, y, z}) s.points.push_back(static_cast<float>(v));
  };
  if (g.kind == SONORAY_GRID_SECTOR) {
    s.n_rows = count("grid.shape[0]", g.shape[0], 1, 100000);
    s.n_columns = count("grid.shape[1]", g.shape[1], 1, 100000);
    count("points of grid", s.n_points(), 1, most_points);
    const auto angles = copied("grid.angles", g.angles, s.n_rows, -7, 7, "rad");
    const auto ranges = copied("grid.ranges", g.ranges, s.n_columns, 0, 4, "m");
    require(std::is_sorted(angles.begin(), angles.end(), std::less_equal<double>()),
            "grid.angles: expected rising values");
    require(std::is_sorted(ranges.begin(), ranges.end(), std::less_equal<double>()),
            "grid.ranges: expected rising values");
    const waves::Point apex = triple("grid.apex", g.apex);
    for (const double a : angles)
      for (const double r : ranges) add(apex[0] + r * std::sin(a), apex[1], apex[2] + r * std::cos(a));
    s.depths = ranges;
    if (s.config.display.kind != SONORAY_GRID_NONE) {
      const EikonalGrid to = read_map_grid(s.config.display, "display");
      require(to.ndim == 2 && s.n_rows > 1 && s.n_columns > 1,
              "display: expected a grid of two axes, and a sector of at least two angles and ranges");
      s.scan = ScanConversion{angles,
                              ranges,
                              {apex[0], apex[2]},
                              {to.shape[0], to.shape[1]},
                              {to.spacing[0], to.spacing[1]},
                              {to.origin[0], to.origin[1]}};
    }
    return;
  }
  require(s.config.display.kind == SONORAY_GRID_NONE,
          "display: expected none for a Cartesian image, which is shown as it is");
  const EikonalGrid grid = read_map_grid(g, "grid");
  const bool volume = grid.ndim == 3;
  s.n_rows = grid.shape[0] * (volume ? grid.shape[1] : 1);
  s.n_columns = grid.shape[grid.ndim - 1];
  for (std::int64_t row = 0; row < s.n_rows; ++row) {
    const double x = grid.origin[0] + grid.spacing[0] * (volume ? row / grid.shape[1] : row);
    const double y = volume ? grid.origin[1] + grid.spacing[1] * (row % grid.shape[1]) : 0.0;
    for (std::int64_t j = 0; j < s.n_columns; ++j)
      add(x, y, grid.origin[grid.ndim - 1] + grid.spacing[grid.ndim - 1] * j);
  }
  for (std::int64_t j = 0; j < s.n_columns; ++j)
    s.depths.push_back(grid.origin[grid.ndim - 1] + grid.spacing[grid.ndim - 1] * j);
}

waves::Transmit read_transmit(const Settings& s, const sonoray_transmit& t, const std::string& name) {
  const std::int64_t n = s.config.n_elements;
  waves::Transmit to;
  require(t.kind >= SONORAY_PLANE && t.kind <= SONORAY_TIMES,
          name + "kind: expected SONORAY_PLANE to SONORAY_TIMES, got " + std::to_string(t.kind));
  to.kind = static_cast<waves::TransmitKind>(t.kind);
  to.origin = triple(name + "origin", t.origin);
  to.fires.assign(n, 1);
  if (t.apodization) {
    const auto weights = copied(name + "apodization", t.apodization, n, -1e6, 1e6, "(weight)");
    for (std::int64_t e = 0; e < n; ++e) to.fires[e] = weights[e] != 0.0f;
    require(std::count(to.fires.begin(), to.fires.end(), 1) > 0, name + "apodization: expected an element that fires");
  }
  if (t.kind == SONORAY_PLANE) {
    to.direction = triple(name + "direction", t.direction);
    scalar((name + "direction: length").c_str(), waves::norm(to.direction), 0.999999, 1.000001, "(unit vector)");
  } else if (t.kind == SONORAY_DIVERGING || t.kind == SONORAY_FOCUSED) {
    to.focus = triple(name + "focus", t.focus);
  } else if (t.kind == SONORAY_ELEMENT) {
    to.element = count((name + "element").c_str(), t.element, 0, n - 1);
    require(to.fires[to.element], name + "apodization: expected the element to fire");
  } else if (t.kind == SONORAY_DELAYS) {
    given((name + "delays").c_str(), t.delays);
    to.delays.assign(t.delays, t.delays + n);
    for (std::int64_t e = 0; e < n; ++e) {
      if (std::isnan(to.delays[e])) continue;
      scalar((name + "delays[" + std::to_string(e) + "]").c_str(), to.delays[e], -0.1, 0.1, "s");
    }
  } else {
    to.times = copied(name + "times", t.times, s.n_points(), -0.1, 0.1, "s");
  }
  return to;
}

/// A focus lies in front of the firing elements, a virtual source behind them (rings and bowls look to all sides).
void check_side(const Settings& s, const waves::Transmit& t, const std::string& name) {
  if (t.kind != waves::TransmitKind::diverging && t.kind != waves::TransmitKind::focused) return;
  std::vector<waves::Point> firing, normals;
  for (std::size_t e = 0; e < t.fires.size(); ++e) {
    if (!t.fires[e]) continue;
    firing.push_back(s.waves.elements[e]);
    normals.push_back(s.waves.normals[e]);
  }
  using waves::operator-;
  const waves::Point normal = waves::mean(normals);
  if (waves::norm(normal) < 0.5) return;
  const double ahead = waves::dot(t.focus - waves::mean(firing), normal) / waves::norm(normal);
  require(t.kind != waves::TransmitKind::focused || ahead > 0,
          name + "focus: expected it in front of the firing elements");
  require(t.kind != waves::TransmitKind::diverging || ahead <= 1e-9,
          name + "focus: expected a virtual source behind the elements");
}

void read_sequence(Settings& s) {
  const sonoray_config& c = s.config;
  const std::int64_t n = count("n_transmits", c.n_transmits, 1, 65536);
  count("n_transmits times points of grid", n * s.n_points(), 1, most_times);
  given("transmits", c.transmits);
  s.waves.sequence_speed = scalar("sequence_sound_speed", c.sequence_sound_speed, 300, 12000, "m/s");
  const char* from = reinterpret_cast<const char*>(c.transmits);
  for (std::int64_t i = 0; i < n; ++i, from += c.transmit_size) {
    sonoray_transmit t{};
    std::memcpy(&t, from, c.transmit_size);
    const std::string name = "transmits[" + std::to_string(i) + "].";
    s.waves.transmits.push_back(read_transmit(s, t, name));
    check_side(s, s.waves.transmits.back(), name);
    if (!t.weight) continue;
    if (s.tx_weight.empty()) s.tx_weight.assign(n * s.n_points(), 1.0f);
    const auto weight = copied(name + "weight", t.weight, s.n_points(), -1e6, 1e6, "(weight)");
    std::copy(weight.begin(), weight.end(), s.tx_weight.begin() + i * s.n_points());
  }
}

void read_sampling(Settings& s) {
  const sonoray_config& c = s.config;
  const double f = scalar("sampling_frequency", c.sampling_frequency, 1e4, 1e9, "Hz");
  if (c.demodulation_frequency != 0) scalar("demodulation_frequency", c.demodulation_frequency, 2e4, 1e8, "Hz");
  if (c.center_frequency != 0) scalar("center_frequency", c.center_frequency, 2e4, 1e8, "Hz");
  require(c.sample_type >= SONORAY_INT16 && c.sample_type <= SONORAY_FLOAT32_PAIR,
          "sample_type: expected SONORAY_INT16 to SONORAY_FLOAT32_PAIR, got " + std::to_string(c.sample_type));
  const bool pairs = c.sample_type >= SONORAY_INT16_PAIR;
  require(pairs == s.iq(), pairs ? "demodulation_frequency: expected the frequency of pairs (I/Q), got 0"
                                 : "demodulation_frequency: expected 0 for samples that are no pairs");
  const std::int64_t n = c.n_transmits;
  const std::vector<double> start =
      c.start_times ? copied("start_times", c.start_times, n, -1e-2, 1e-1, "s") : std::vector<double>(n, 0.0);
  for (const double t : start) {  // whole part and rest: times late in a long record keep their digits
    s.start.push_back(static_cast<float>(std::floor(t * f)));
    s.start.push_back(static_cast<float>(t * f - std::floor(t * f)));
  }
  const std::int64_t items[] = {2, 4, 4, 8}, item = items[c.sample_type];
  const std::int64_t shape[] = {n, c.n_elements, count("n_samples", c.n_samples, 1, 1 << 22)};
  std::int64_t stride[] = {c.stride[0], c.stride[1], c.stride[2]};
  if (!stride[0] && !stride[1] && !stride[2]) {
    stride[2] = item;
    stride[1] = item * shape[2];
    stride[0] = stride[1] * shape[1];
  }
  // A device reads pairs as one.
  const std::int64_t alignment = s.iq() && !s.on_device() ? item / 2 : item;
  std::int64_t bytes = item;
  for (int d = 0; d < 3; ++d) {
    count(("stride[" + std::to_string(d) + "]").c_str(), stride[d], item, std::int64_t(1) << 36);
    require(stride[d] % alignment == 0, "stride[" + std::to_string(d) + "]: expected a multiple of " +
                                            std::to_string(alignment) + " bytes, got " + std::to_string(stride[d]));
    bytes += (shape[d] - 1) * stride[d];
    count("bytes of a frame", bytes, 1, std::int64_t(1) << 36);
  }
  s.frame_bytes = static_cast<std::size_t>(bytes);
  s.frame_alignment = static_cast<std::size_t>(alignment);
  const bool narrow = c.sample_type == SONORAY_INT16_PAIR;
  s.samples.kind = narrow || c.sample_type == SONORAY_INT16 ? 'i' : pairs ? 'c' : 'f';
  s.samples.item_size = static_cast<int>(narrow ? 2 : item);
  s.samples.n_axes = narrow ? 5 : 4;
  s.samples.shape[0] = 1;
  s.samples.stride[0] = bytes;
  s.samples.shape[4] = 2;
  s.samples.stride[4] = 2;
  for (int d = 0; d < 3; ++d) {
    s.samples.shape[d + 1] = shape[d];
    s.samples.stride[d + 1] = stride[d];
  }
}

void check_image(const sonoray_config& c) {
  scalar("sound_speed", c.sound_speed, 300, 12000, "m/s");
  if (c.f_number != 0) scalar("f_number", c.f_number, 1e-3, 1e3, "(ratio)");
  require(c.window >= SONORAY_BOXCAR && c.window <= SONORAY_TUKEY,
          "window: expected SONORAY_BOXCAR to SONORAY_TUKEY, got " + std::to_string(c.window));
  require(c.f_number != 0 || c.window == SONORAY_BOXCAR, "window: expected SONORAY_BOXCAR without an f_number");
  scalar("tukey_taper", c.tukey_taper, 0, 1, "(fraction)");
  require(c.interpolation == SONORAY_LINEAR || c.interpolation == SONORAY_CUBIC,
          "interpolation: expected SONORAY_LINEAR or SONORAY_CUBIC, got " + std::to_string(c.interpolation));
  require(c.compounding == SONORAY_COHERENT || c.compounding == SONORAY_INCOHERENT,
          "compounding: expected SONORAY_COHERENT or SONORAY_INCOHERENT, got " + std::to_string(c.compounding));
  scalar("element_width", c.element_width, -1e6, 100, "wavelengths");
  scalar("attenuation", c.attenuation, 0, 2000, "dB/m/MHz");
  require(c.attenuation == 0 || c.center_frequency > 0 || c.demodulation_frequency > 0,
          "center_frequency: expected the pulse's for a gain against attenuation, got 0");
  scalar("surface", c.surface, -2, 2, "m");
  scalar("max_gain", c.max_gain, 0, 200, "dB");
  scalar("dynamic_range", c.dynamic_range, 1, 300, "dB");
  if (c.reference != 0) scalar("reference", c.reference, 1e-37, 1e37, "the envelope's unit");
  scalar("table_spacing", c.table_spacing, 1e-6, 0.05, "m");
  scalar("map_limits[0]", c.map_limits[0], 300, 12000, "m/s");
  scalar("map_limits[1]", c.map_limits[1], c.map_limits[0], 12000, "m/s");
  count("threads", c.threads, 0, 1024);
  count("map_threads", c.map_threads, 0, 1024);
  if (c.ring_frames != 0) count("ring_frames", c.ring_frames, 2, 4096);
  require(c.when_full >= SONORAY_WHEN_FULL_WAIT && c.when_full <= SONORAY_WHEN_FULL_REFUSE,
          "when_full: expected SONORAY_WHEN_FULL_WAIT to ..._REFUSE, got " + std::to_string(c.when_full));
}

void check_place(const sonoray_config& c) {
  require(c.device == SONORAY_CPU || c.device == SONORAY_CUDA,
          "device: expected SONORAY_CPU or SONORAY_CUDA, got " + std::to_string(c.device));
  if (c.device == SONORAY_CUDA) {
    count("device_index", c.device_index, 0, 1023);
  } else {
    require(c.stream == nullptr, "stream: expected NULL for SONORAY_CPU, got a stream");
  }
}

/// The elements and points that a map must cover.
void check_inside(const Settings& s) {
  const EikonalGrid& g = *s.map;
  for (int i = 0; i < g.ndim; ++i) {
    const int axis = g.ndim == 2 && i == 1 ? 2 : i;
    const double first = g.origin[i] - 1e-6 * g.spacing[i];
    const double last = g.origin[i] + g.spacing[i] * (static_cast<double>(g.shape[i] - 1) + 1e-6);
    for (const auto* list : {&s.waves.elements, &s.waves.points})
      for (const waves::Point& p : *list)
        scalar(list == &s.waves.points ? "map: a point of the grid" : "map: an element", p[axis], first, last,
               "m, inside the map");
  }
  if (g.ndim == 3) return;
  for (const auto* list : {&s.waves.elements, &s.waves.points})
    for (const waves::Point& p : *list) scalar("y of elements and points in a 2-D map", p[1], -1e-9, 1e-9, "m");
}

}  // namespace

double scalar(const char* name, double value, double low, double high, const char* unit) {
  if (value >= low && value <= high) return value;
  char text[160];
  std::snprintf(text, sizeof text, ": expected %g to %g %s, got %g", low, high, unit, value);
  throw ArgumentError(name + std::string(text));
}

EikonalGrid read_map_grid(const sonoray_grid& grid, const char* name) {
  const std::string prefix(name);
  check_reserved(grid, prefix);
  require(grid.kind == SONORAY_GRID_CARTESIAN,
          prefix + ".kind: expected SONORAY_GRID_CARTESIAN, got " + std::to_string(grid.kind));
  require(grid.n_axes == 2 || grid.n_axes == 3,
          prefix + ".n_axes: expected 2 or 3, got " + std::to_string(grid.n_axes));
  EikonalGrid to;
  to.ndim = grid.n_axes;
  for (int i = 0; i < to.ndim; ++i) {
    to.shape[i] = count((prefix + ".shape").c_str(), grid.shape[i], 1, 100000);
    to.spacing[i] = scalar((prefix + ".spacing").c_str(), grid.spacing[i], 1e-7, 0.05, "m");
    to.origin[i] = scalar((prefix + ".origin").c_str(), grid.origin[i], -4, 4, "m");
    scalar((prefix + ": last coordinate").c_str(), to.origin[i] + to.spacing[i] * (to.shape[i] - 1), -4, 4, "m");
    count((prefix + ": points").c_str(), i ? to.shape[0] * to.shape[1] : to.shape[0], 1, most_points);
  }
  count((prefix + ": points").c_str(), to.size(), 1, most_points);
  return to;
}

Settings read_config(const sonoray_config* config) {
  require(config != nullptr, "config: expected a configuration, got NULL");
  require(known_size(config->size, first_config, sizeof(sonoray_config)) &&
              known_size(config->transmit_size, first_transmit, sizeof(sonoray_transmit)),
          "config: expected one that sonoray_config_init of this version filled in");
  Settings s;
  sonoray_config_init(&s.config, sizeof s.config, sizeof(sonoray_transmit));
  std::memcpy(&s.config, config, config->size);
  check_reserved(s.config.grid, "grid");
  check_reserved(s.config.display, "display");
  check_reserved(s.config.map, "map");
  check_place(s.config);
  check_image(s.config);
  read_probe(s);
  read_grid(s);
  read_sequence(s);
  read_sampling(s);
  if (s.config.map.kind != SONORAY_GRID_NONE) {
    s.map = read_map_grid(s.config.map, "map");
    check_inside(s);
  }
  require(s.map || (!s.config.network && !s.config.model), "map: expected a grid for the network's maps, got none");
  if (s.config.model) s.model.assign(s.config.model);
  return s;
}

}  // namespace sonoray::capi
