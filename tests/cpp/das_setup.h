#pragma once
// A beamforming problem of any kind, in memory of exactly its size.
#include <cstdint>
#include <random>
#include <vector>

#include "beamforming/das.h"

namespace sonoray {

struct Case {
  int n_rows, n_columns, n_rx, n_tx, n_frames, n_samples;
  bool iq, int16, cubic, table, frames_fastest;
  float f_number, spread;
  Compounding compounding;
  bool apertures = false;  ///< long elements, an axis and weights for each transmit, a window's table, a lens
};

/// Exactly sized memory, so that a sanitizer sees every step outside.
struct Setup {
  std::vector<float> points, elements, normals, tx_time, start, table, lines, axes, rx_weight, window;
  std::vector<char> samples;
  DasProblem p{};
  Strided s;
};

inline float uniform(std::mt19937& random) { return std::uniform_real_distribution<float>(-1.0f, 1.0f)(random); }

inline Setup make(const Case& c, std::mt19937& random) {
  Setup m;
  const int n = c.n_rows * c.n_columns;
  for (int i = 0; i < n; ++i) {
    m.points.push_back((i / c.n_columns - 0.5f * c.n_rows) * 2e-4f * c.spread);
    m.points.push_back(1e-4f * uniform(random));
    m.points.push_back(2e-3f + i % c.n_columns * 1e-4f * c.spread);
  }
  for (int e = 0; e < c.n_rx; ++e) {
    m.elements.insert(m.elements.end(), {(e - 0.5f * c.n_rx) * 3e-4f, 0.0f, 0.0f});
    m.normals.insert(m.normals.end(), {0.0f, 0.0f, 1.0f});
  }
  for (int t = 0; t < c.n_tx; ++t) {
    m.start.insert(m.start.end(), {10.0f, 0.25f * t});
    for (int i = 0; i < n; ++i) m.tx_time.push_back((m.points[3 * i + 2] + 0.1f * t * m.points[3 * i]) / 1500.0f);
  }
  for (int k = 0; c.table && k < c.n_rx * 12; ++k) m.table.push_back((1.0f + 0.05f * uniform(random)) / 1500.0f);
  DasProblem& p = m.p;
  p.n_rows = c.n_rows;
  p.n_columns = c.n_columns;
  p.points = {m.points.data(), {n, 3}};
  p.elements = {m.elements.data(), {c.n_rx, 3}};
  p.normals = {m.normals.data(), {c.n_rx, 3}};
  p.tx_time = {m.tx_time.data(), {c.n_tx, n}};
  p.start = {m.start.data(), {c.n_tx, 2}};
  if (c.table) p.rx_slowness = {m.table.data(), {c.n_rx, 4, 1, 3}};
  p.table_origin[0] = -1e-3f;
  p.table_rate[0] = p.table_rate[2] = 1e3f;
  p.slowness = 1.0f / 1500.0f;
  p.sampling_frequency = 20e6f;
  p.demodulation_frequency = c.iq ? 5e6f : 0.0f;
  p.f_number = c.f_number;
  p.pedestal = 0.5f;
  p.taper = 0.5f;
  p.wavelengths = c.f_number > 0.0f ? 0.8f : -1.0f;
  p.cubic = c.cubic;
  p.compounding = c.compounding;
  if (c.apertures) {
    for (int k = 0; k < 3 * c.n_rx; ++k) m.lines.push_back(k % 3 == 1 ? 1e-4f * (k % 5) : 0.0f);
    for (int t = 0; t < c.n_tx; ++t) {
      m.axes.insert(m.axes.end(), {-0.1f * (t % 2), 0.0f, -1.0f, 0.0f});
      for (int e = 0; e < c.n_rx; ++e) m.rx_weight.push_back(e % 3 == t % 2 ? 0.0f : uniform(random));
    }
    for (int k = 0; k < 5; ++k) m.window.push_back(uniform(random));
    p.lines = {m.lines.data(), {c.n_rx, 3}};
    p.axes = {m.axes.data(), {c.n_tx, 4}};
    p.rx_weight = {m.rx_weight.data(), {c.n_tx, c.n_rx}};
    p.window = {m.window.data(), {5}};
    p.lens_thickness = 5e-4f;
    p.lens_slowness = 1.0f / (c.cubic ? 1000.0f : 2200.0f);
  }
  const int parts = c.iq ? 2 : 1, bytes = c.int16 ? 2 : 4;
  const std::int64_t shape[4] = {c.n_frames, c.n_tx, c.n_rx, c.n_samples};
  std::int64_t size = bytes * parts;
  m.s.n_axes = c.iq && c.int16 ? 5 : 4;
  m.s.shape[4] = 2;
  m.s.stride[4] = 2;
  for (int d : c.frames_fastest ? std::vector<int>{0, 3, 2, 1} : std::vector<int>{3, 2, 1, 0}) {
    m.s.shape[d] = shape[d];
    m.s.stride[d] = size;
    size *= shape[d];
  }
  m.samples.resize(size);
  for (std::int64_t i = 0; i < size / bytes; ++i) {
    if (c.int16) {
      reinterpret_cast<std::int16_t*>(m.samples.data())[i] = static_cast<std::int16_t>(30000 * uniform(random));
    } else {
      reinterpret_cast<float*>(m.samples.data())[i] = uniform(random);
    }
  }
  m.s.data = m.samples.data();
  m.s.kind = c.int16 ? 'i' : c.iq ? 'c' : 'f';
  m.s.item_size = c.int16 ? 2 : 4 * parts;
  return m;
}

}  // namespace sonoray
