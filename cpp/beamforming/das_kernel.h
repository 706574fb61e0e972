#pragma once
// One point and one element (or W points at once: F is float or a vector of simd.h). Every schedule, on the host and
// on CUDA, is made of these.
#include "beamforming/das.h"
#include "core/simd.h"
#include "core/taps.h"

namespace sonoray::das_kernel {

using simd::gather;
using simd::int_of;
using simd::nearest;
using simd::root;
using simd::sincos_turns;
using simd::to_float;
using simd::to_int;
using taps::tap_weights;

/// exp(2 pi i frequency time); the whole turns are removed before rounding can touch the rest.
template <class F>
SONORAY_HD SONORAY_INLINE void phasor(F time, float frequency, F& real, F& imaginary) {
  const F turns = nearest(time * frequency);
  sincos_turns(time * frequency - turns, imaginary, real);
}

/// Where a group of points lies in the table of slownesses: lowest node and fractions.
template <class F>
struct Cell {
  int_of<F> node;
  F x, y, z;
};

template <class F>
SONORAY_HD SONORAY_INLINE F table_axis(F position, float origin, float rate, std::int64_t n, int_of<F>& node) {
  const float last = static_cast<float>(n - 1);
  F u = (position - origin) * rate;
  u = u > 0.0f ? u : F() + 0.0f;  // clamped outside
  u = u < last ? u : F() + last;
  F whole = to_float<F>(to_int(u));
  const float highest = last > 1.0f ? last - 1.0f : 0.0f;
  whole = whole < highest ? whole : F() + highest;
  node = to_int(whole);
  return u - whole;
}

template <class F>
SONORAY_HD SONORAY_INLINE Cell<F> find_cell(const DasProblem& p, F x, F y, F z) {
  int_of<F> i, j, k;
  Cell<F> cell;
  const std::int64_t* n = p.rx_slowness.shape;
  cell.x = table_axis(x, p.table_origin[0], p.table_rate[0], n[1], i);
  cell.y = table_axis(y, p.table_origin[1], p.table_rate[1], n[2], j);
  cell.z = table_axis(z, p.table_origin[2], p.table_rate[2], n[3], k);
  cell.node = (i * static_cast<std::int32_t>(n[2]) + j) * static_cast<std::int32_t>(n[3]) + k;
  return cell;
}

/// Along z, between a node and the next one.
template <class F>
SONORAY_HD SONORAY_INLINE F along_z(const float* table, bool several, int_of<F> node, F fraction) {
  if (!several) return gather<F>(table, node);
  F a, b;
  simd::gather_pair<F>(table, node, a, b);
  return a + fraction * (b - a);
}

/// Multilinear mean slowness from element e [s/m]; an axis of one node takes no part.
template <class F>
SONORAY_HD SONORAY_INLINE F table_slowness(const DasProblem& p, std::int64_t e, const Cell<F>& c) {
  const std::int64_t* n = p.rx_slowness.shape;
  const float* table = p.rx_slowness.data + e * n[1] * n[2] * n[3];
  const std::int64_t x1 = n[1] > 1 ? n[2] * n[3] : 0, y1 = n[2] > 1 ? n[3] : 0;
  const bool several = n[3] > 1;
  const F a = along_z(table, several, c.node, c.z);
  const F plane = a + c.x * (along_z(table + x1, several, c.node, c.z) - a);
  if (!y1) return plane;
  table += y1;
  const F b = along_z(table, several, c.node, c.z);
  return plane + c.y * (b + c.x * (along_z(table + x1, several, c.node, c.z) - b) - plane);
}

/// Window over the receive aperture; u = lateral offset / half aperture, |u| <= 1. One form holds them all:
/// pedestal + (1 - pedestal) cos(pi max(0, u - 1 + taper) / taper), with pedestal 1/2 and taper 1 for Hann, 0.54 and
/// 1 for Hamming, 1/2 and alpha for Tukey, taper 0 for the boxcar.
template <class F>
SONORAY_HD SONORAY_INLINE F receive_window(const DasProblem& p, F u) {
  F edge = (u - (1.0f - p.taper)) * (0.5f / p.taper);
  edge = edge > 0.0f ? edge : F() + 0.0f;
  edge = edge < 0.5f ? edge : F() + 0.5f;
  F sine, cosine;
  sincos_turns(edge, sine, cosine);
  return p.pedestal + (1.0f - p.pedestal) * cosine;
}

/// sin(pi x) / (pi x)
template <class F>
SONORAY_HD SONORAY_INLINE F sinc(F x) {
  F sine, cosine;
  const F turns = 0.5f * x;
  sincos_turns(turns - nearest(turns), sine, cosine);
  const F a = x * 3.14159265358979f;
  const F size = a > 0.0f ? a : -a;
  return size > 1e-3f ? sine / (size > 1e-3f ? a : F() + 1.0f) : 1.0f - a * a * (1.0f / 6.0f);
}

/// Straight line from an element to a point.
template <class F>
struct Path {
  F distance;  ///< [m]
  F weight;    ///< receive window and element directivity; exactly 0 where masked
};

template <class F>
SONORAY_HD SONORAY_INLINE Path<F> receive_path(const DasProblem& p, std::int64_t e, F x, F y, F z) {
  const float* at = p.elements.data + 3 * e;
  const float* normal = p.normals.data + 3 * e;
  const F dx = x - at[0], dy = y - at[1], dz = z - at[2];
  const F square = dx * dx + dy * dy + dz * dz;
  Path<F> path{root(square), F() + 1.0f};
  if (p.f_number <= 0.0f && p.wavelengths < 0.0f) return path;
  const F depth = dx * normal[0] + dy * normal[1] + dz * normal[2];
  // From the cross product: the difference square - depth^2 cancels near the axis.
  const F cx = dy * normal[2] - dz * normal[1], cy = dz * normal[0] - dx * normal[2];
  const F cz = dx * normal[1] - dy * normal[0];
  const F lateral = cx * cx + cy * cy + cz * cz;
  const F zero = F() + 0.0f;
  if (p.f_number > 0.0f) {
    const F half = depth * (0.5f / p.f_number);
    if (p.taper > 0.0f) {
      const F u = root(lateral) / (half > 1e-12f ? half : F() + 1e-12f);
      path.weight = receive_window(p, u < 1.0f ? u : F() + 1.0f);
    }
    path.weight = lateral <= half * half ? path.weight : zero;
    path.weight = depth >= 0.0f ? path.weight : zero;
  }
  if (p.wavelengths >= 0.0f) {
    // Soft baffle (Selfridge, Kino and Khuri-Yakub 1980, eq. 4): sinc(width / wavelength sin a) cos a.
    const F inverse = 1.0f / (path.distance > 1e-9f ? path.distance : F() + 1e-9f);
    F cosine = path.distance > 1e-9f ? depth * inverse : F() + 1.0f;
    cosine = cosine > 0.0f ? cosine : zero;
    path.weight = path.weight * (sinc<F>(p.wavelengths * root(lateral) * inverse) * cosine);
  }
  return path;
}

/// Receive time [s]: exact distance times constant or tabulated mean slowness.
template <class F>
SONORAY_HD SONORAY_INLINE F receive_time(const DasProblem& p, std::int64_t e, F distance, const Cell<F>& cell) {
  return p.rx_slowness.data ? distance * table_slowness(p, e, cell) : distance * p.slowness;
}

/// Keeps an index where floats count samples; NaN goes to the upper end, which is outside every record.
template <class F>
SONORAY_HD SONORAY_INLINE F countable(F samples) {
  constexpr float most = 4194304.0f;  // 2^22
  samples = samples < most ? samples : F() + most;
  return samples > -most ? samples : F() - most;
}

/// Receive time in samples.
template <class F>
SONORAY_HD SONORAY_INLINE F receive_samples(const DasProblem& p, F rx_time) {
  return countable(rx_time * p.sampling_frequency);
}

/// Transmit time in samples after the first one of transmit t.
template <class F>
SONORAY_HD SONORAY_INLINE F transmit_samples(const DasProblem& p, std::int64_t t, F tx_time) {
  return countable((tx_time * p.sampling_frequency - p.start.data[2 * t]) - p.start.data[2 * t + 1]);
}

/// The first tap's distance from floor(index).
template <int TAPS>
inline constexpr int first_tap = TAPS == 2 ? 0 : -1;

}  // namespace sonoray::das_kernel
