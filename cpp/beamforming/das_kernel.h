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
/// Or a table of values, between which it is linear.
template <class F>
SONORAY_HD SONORAY_INLINE F receive_window(const DasProblem& p, F u) {
  if (p.window.data) {
    const F at = u * static_cast<float>(p.window.shape[0] - 1);
    const float highest = static_cast<float>(p.window.shape[0] - 2);
    F node = to_float<F>(to_int(at)), a, b;
    node = node < highest ? node : F() + highest;
    simd::gather_pair<F>(p.window.data, to_int(node), a, b);
    return a + (at - node) * (b - a);
  }
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

/// Whether receive paths have weights at all.
SONORAY_HD SONORAY_INLINE bool is_weighted(const DasProblem& p) {
  return p.f_number > 0.0f || p.wavelengths >= 0.0f || p.rx_weight.data;
}

/// Whether the aperture has a window other than the boxcar.
SONORAY_HD SONORAY_INLINE bool has_window(const DasProblem& p) { return p.taper > 0.0f || p.window.data; }

/// The same problem with a boxcar.
SONORAY_HD SONORAY_INLINE DasProblem without_window(DasProblem p) {
  p.taper = 0.0f;
  p.window.data = nullptr;
  return p;
}

/// Receive apertures: one for all transmits, or one for each.
SONORAY_HD SONORAY_INLINE std::int64_t n_apertures(const DasProblem& p) {
  const bool each = (p.axes.data && p.axes.shape[0] > 1) || (p.rx_weight.data && p.rx_weight.shape[0] > 1);
  return each ? p.tx_time.shape[0] : 1;
}

/// Row of an array of one row for each transmit, or of one for all.
SONORAY_HD SONORAY_INLINE const float* row_of(const View<const float, 2>& rows, std::int64_t t) {
  return rows.data + (rows.shape[0] > 1 ? t * rows.shape[1] : 0);
}

/// Straight line from an element, or from the nearest point of a long one, to a point.
template <class F>
struct Path {
  F distance;  ///< [m]
  F weight;    ///< receive window, element directivity and weight; exactly 0 where masked
  F depth;     ///< [m] along the normal; only where weights or a lens need it, as is
  F lateral;   ///< [m^2] square of the offset from the normal
};

/// Square of a point's offset from the aperture's axis through element e, in place of that from its normal, and the
/// distance along the axis in place of the depth; no reach where the axis does not leave the element's face.
template <class F>
SONORAY_HD SONORAY_INLINE void axis_offset(const DasProblem& p, std::int64_t t, std::int64_t e, const F (&point)[3],
                                           const F (&d)[3], F depth, F& lateral, F& reach) {
  const float* axis = row_of(p.axes, t);
  const float* normal = p.normals.data + 3 * e;
  F b[3] = {point[0] * axis[3] - axis[0], point[1] * axis[3] - axis[1], point[2] * axis[3] - axis[2]};
  if (p.lines.data) {  // a long element does not steer along itself
    const float* line = p.lines.data + 3 * e;
    const float square = line[0] * line[0] + line[1] * line[1] + line[2] * line[2];
    const F along = (b[0] * line[0] + b[1] * line[1] + b[2] * line[2]) * (1.0f / (square > 0.0f ? square : 1.0f));
    for (int k = 0; k < 3; ++k) b[k] = b[k] - along * line[k];
  }
  const F length = root(b[0] * b[0] + b[1] * b[1] + b[2] * b[2]);
  const F ahead = b[0] * normal[0] + b[1] * normal[1] + b[2] * normal[2];
  const F least = length * 1e-3f + 1e-12f;
  const F scale = depth / (ahead > least ? ahead : least);
  const F x = d[0] - scale * b[0], y = d[1] - scale * b[1], z = d[2] - scale * b[2];
  lateral = x * x + y * y + z * z;
  reach = ahead > least ? scale * length : F() - 1.0f;
}

/// The path from element e in the receive aperture of transmit t.
template <class F>
SONORAY_HD SONORAY_INLINE Path<F> receive_path(const DasProblem& p, std::int64_t t, std::int64_t e, F x, F y, F z) {
  const float* at = p.elements.data + 3 * e;
  const float* normal = p.normals.data + 3 * e;
  F dx = x - at[0], dy = y - at[1], dz = z - at[2];
  if (p.lines.data) {
    const float* line = p.lines.data + 3 * e;
    const float square = line[0] * line[0] + line[1] * line[1] + line[2] * line[2];
    F along = (dx * line[0] + dy * line[1] + dz * line[2]) * (1.0f / (square > 0.0f ? square : 1.0f));
    along = along < 1.0f ? along : F() + 1.0f;
    along = along > -1.0f ? along : F() - 1.0f;
    dx = dx - along * line[0];
    dy = dy - along * line[1];
    dz = dz - along * line[2];
  }
  const F square = dx * dx + dy * dy + dz * dz;
  Path<F> path{root(square), F() + 1.0f, F(), F()};
  if (!is_weighted(p) && p.lens_thickness <= 0.0f) return path;
  const F depth = dx * normal[0] + dy * normal[1] + dz * normal[2];
  // From the cross product: the difference square - depth^2 cancels near the axis.
  const F cx = dy * normal[2] - dz * normal[1], cy = dz * normal[0] - dx * normal[2];
  const F cz = dx * normal[1] - dy * normal[0];
  const F lateral = cx * cx + cy * cy + cz * cz;
  const F zero = F() + 0.0f;
  path.depth = depth;
  path.lateral = lateral;
  if (p.f_number > 0.0f) {
    F offset = lateral, reach = depth;
    if (p.axes.data) {
      const F point[3] = {x, y, z}, d[3] = {dx, dy, dz};
      axis_offset(p, t, e, point, d, depth, offset, reach);
    }
    const F half = reach * (0.5f / p.f_number);
    if (has_window(p)) {
      const F u = root(offset) / (half > 1e-12f ? half : F() + 1e-12f);
      path.weight = receive_window(p, u < 1.0f ? u : F() + 1.0f);
    }
    path.weight = offset <= half * half ? path.weight : zero;
    path.weight = reach >= 0.0f ? path.weight : zero;
  }
  if (p.wavelengths >= 0.0f) {
    // Soft baffle (Selfridge, Kino and Khuri-Yakub 1980, eq. 4): sinc(width / wavelength sin a) cos a.
    const F inverse = 1.0f / (path.distance > 1e-9f ? path.distance : F() + 1e-9f);
    F cosine = path.distance > 1e-9f ? depth * inverse : F() + 1.0f;
    cosine = cosine > 0.0f ? cosine : zero;
    path.weight = path.weight * (sinc<F>(p.wavelengths * root(lateral) * inverse) * cosine);
  }
  if (p.rx_weight.data) path.weight = path.weight * row_of(p.rx_weight, t)[e];
  return path;
}

/// What a flat lens on the element's face adds to the time of a path through a medium of slowness n [s].
/// The refracted path's time is the maximum over the horizontal slowness q of
///   lateral q + thickness sqrt(lens^2 - q^2) + depth sqrt(n^2 - q^2).
/// Newton's method starts from the q with which either layer alone would reach the point, which is above the path's,
/// and stays above. Within 0.01 ns after three steps through a slow lens, after five through a fast one.
template <class F>
SONORAY_HD SONORAY_INLINE F lens_delay(const DasProblem& p, const Path<F>& path, F n) {
  const float thickness = p.lens_thickness, lens = p.lens_slowness;
  const F lateral = root(path.lateral), zero = F() + 0.0f;
  const F depth = path.depth > 0.0f ? path.depth : zero;
  F most = n < lens ? n : F() + lens;
  most = most * 0.9999f;
  F q = n * lateral / (path.distance > 1e-9f ? path.distance : F() + 1e-9f);
  const F alone = lens * lateral / root(lateral * lateral + thickness * thickness);
  q = q < alone ? q : alone;
  q = q < most ? q : most;
  const int steps = lens > p.slowness ? 3 : 5;
  for (int step = 0; step < steps; ++step) {
    const F in_lens = 1.0f / root(lens * lens - q * q), in_medium = 1.0f / root(n * n - q * q);
    const F slope = lateral - q * (thickness * in_lens + depth * in_medium);
    const F bend =
        thickness * lens * lens * in_lens * in_lens * in_lens + depth * n * n * in_medium * in_medium * in_medium;
    q = q + slope / bend;
    q = q < most ? q : most;
    q = q > 0.0f ? q : zero;
  }
  return lateral * q + thickness * root(lens * lens - q * q) + depth * root(n * n - q * q) - path.distance * n;
}

/// Receive time [s]: exact distance times constant or tabulated mean slowness, and what the lens adds.
template <class F>
SONORAY_HD SONORAY_INLINE F receive_time(const DasProblem& p, std::int64_t e, const Path<F>& path,
                                         const Cell<F>& cell) {
  const F slowness = p.rx_slowness.data ? table_slowness(p, e, cell) : F() + p.slowness;
  const F time = path.distance * slowness;
  return p.lens_thickness > 0.0f ? time + lens_delay(p, path, slowness) : time;
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
