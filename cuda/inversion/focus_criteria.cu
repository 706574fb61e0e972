// Batches of patches through a few simple kernels, values of all pairs of elements in between: one thread per value,
// neighbours in the receiver next to each other, sums in a fixed order.
#include <complex>
#include <cstdint>

#include "core/for_each.cuh"
#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "inversion/focus_criteria.h"
#include "inversion/focus_criteria_checks.h"
#include "inversion/focus_criteria_kernel.h"

namespace sonoray {
namespace {

using namespace focus_kernel;

constexpr int block = 256;
constexpr std::int64_t batch_values = std::int64_t(1) << 25;  // of pairs of elements at a time: 256 MB of I/Q

/// Some of the points, patch after patch.
struct Batch {
  FocusProblem p;
  std::int64_t first, n_points;  ///< of all points
  std::int64_t n;                ///< points of this batch
  std::int64_t n_tx, n_rx, length, n_i, n_j;

  Batch(const FocusProblem& problem, std::int64_t sub_aperture)
      : p(problem),
        first(0),
        n_points(problem.tx_time.shape[1]),
        n(0),
        n_tx(problem.samples.shape[0]),
        n_rx(problem.samples.shape[1]),
        length(sub_aperture),
        n_i(n_tx - sub_aperture + 1),
        n_j(n_rx - sub_aperture + 1) {}
};

/// Arrivals of one side at the batch's points, (elements, points).
struct PlaceAt {
  Batch c;
  bool tx;
  Arrival<float>* out;
  SONORAY_HD void operator()(std::int64_t i) const {
    const std::int64_t e = i / c.n, at = e * c.n_points + c.first + (i - e * c.n);
    const auto& weight = tx ? c.p.tx_weight : c.p.rx_weight;
    out[i] = arrival<float>((tx ? c.p.tx_time : c.p.rx_time).data[at], weight.data ? weight.data[at] : 1.0f,
                            c.p.sampling_frequency, tx ? c.p.start.data[e] : 0.0, c.p.demodulation_frequency);
  }
};

/// Values (points, transmits, receivers), and their slopes if there is room for them.
template <bool Slopes>
struct FocusAt {
  Batch c;
  const Arrival<float>*tx, *rx;
  float2 *u, *derivative;
  SONORAY_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / c.n_rx, b = i - row * c.n_rx, q = row / c.n_tx, a = row - q * c.n_tx;
    const Arrival<float> t = tx[a * c.n + q], r = rx[b * c.n + q];
    const auto n_samples = static_cast<std::int32_t>(c.p.samples.shape[2] - 2 * c.p.margin);
    const float sum = r.rest + t.rest, more = carry(sum), f = sum - more;
    const std::int32_t at = inside(r.whole + t.whole + (more > 0.0f ? 1 : 0), n_samples);
    const float2* trace =
        reinterpret_cast<const float2*>(c.p.samples.data) + (a * c.n_rx + b) * c.p.samples.shape[2] + c.p.margin;
    float re[4], im[4];
    for (int k = 0; k < 4; ++k) {
      const std::int32_t s = at - 1 + k;
      const bool recorded = s >= 0 && s < n_samples;
      const float2 z = recorded ? trace[s] : float2{0.0f, 0.0f};
      re[k] = z.x;
      im[k] = z.y;
    }
    const auto rate = static_cast<float>(c.p.sampling_frequency);
    const auto omega = static_cast<float>(6.283185307179586 * c.p.demodulation_frequency);
    const auto v = c.p.cubic ? value<true, Slopes>(re, im, f, t.real, t.imaginary, r.real, r.imaginary, rate, omega)
                             : value<false, Slopes>(re, im, f, t.real, t.imaginary, r.real, r.imaginary, rate, omega);
    if (u) u[i] = float2{v.real, v.imaginary};
    if (Slopes) derivative[i] = float2{v.real_slope, v.imaginary_slope};
  }
};

/// Sums over `length` neighbours of the middle axis of (outer, m, inner): of those from each on, or, with `adjoint`, up
/// to each. `out` has n of them, neighbours outside the input are zero.
struct SumNeighbours {
  const float2* in;
  float2* out;
  std::int64_t m, n, inner, length;
  bool adjoint;
  SONORAY_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / inner, outer = row / n, at = row - outer * n;
    const float2* from = in + outer * m * inner + (i - row * inner);
    std::int64_t low = adjoint ? at - length + 1 : at, high = adjoint ? at + 1 : at + length;
    low = low < 0 ? 0 : low;
    high = high > m ? m : high;
    float2 sum{0.0f, 0.0f};
    for (std::int64_t t = low; t < high; ++t) {
      const float2 z = from[t * inner];
      sum.x += z.x;
      sum.y += z.y;
    }
    out[i] = sum;
  }
};

/// What one pair of sub-apertures finds, summed over the points of its patch.
struct PairAt {
  Batch c;
  const float2* u;
  SONORAY_HD Pair<float> operator()(std::int64_t patch, std::int64_t i, std::int64_t j) const {
    float real = 0.0f, imaginary = 0.0f, square_a = 0.0f, square_b = 0.0f;
    for (std::int64_t k = 0; k < c.p.n_kernel; ++k) {
      const float2* plane = u + (patch * c.p.n_kernel + k) * c.n_i * c.n_j;
      const float2 a = plane[i * c.n_j + j + 1], b = plane[(i + 1) * c.n_j + j];
      real += a.x * b.x + a.y * b.y;
      imaginary += a.y * b.x - a.x * b.y;
      square_a += a.x * a.x + a.y * a.y;
      square_b += b.x * b.x + b.y * b.y;
    }
    return pair(real, imaginary, square_a, square_b);
  }
};

struct CorrelateAt {
  PairAt pairs;
  float2* correlation;
  float* energy;
  SONORAY_HD void operator()(std::int64_t index) const {
    const std::int64_t n_i = pairs.c.n_i - 1, n_j = pairs.c.n_j - 1, row = index / n_j, patch = row / n_i;
    const Pair<float> found = pairs(patch, row - patch * n_i, index - row * n_j);
    correlation[index] = float2{found.real, found.imaginary};
    energy[index] = found.energy;
  }
};

/// What is averaged: value and whether it counts.
struct Terms {
  double* value;
  float* counts;
};

/// Phase errors (patches, n_i - 1, n_j - 1), and the derivatives with respect to the correlations.
struct PhaseAt {
  PairAt pairs;
  FocusCriterion criterion;
  Terms terms;
  float2* slope;
  SONORAY_HD void operator()(std::int64_t index) const {
    const std::int64_t n_i = pairs.c.n_i - 1, n_j = pairs.c.n_j - 1, row = index / n_j, patch = row / n_i;
    const auto term =
        phase_term(pairs(patch, row - patch * n_i, index - row * n_j), criterion.threshold, criterion.scale);
    terms.value[index] = log(static_cast<double>(term.factor));
    terms.counts[index] = term.kept;
    slope[index] = float2{term.real, term.imaginary};
  }
};

/// From derivatives with respect to correlations to those with respect to sub-apertures.
struct PairsBackAt {
  Batch c;
  const float2 *u, *slope;
  float2* out;
  SONORAY_HD void operator()(std::int64_t index) const {
    const std::int64_t row = index / c.n_j, j = index - row * c.n_j, q = row / c.n_i, i = row - q * c.n_i;
    const float2* plane = u + q * c.n_i * c.n_j;
    const float2* g = slope + q / c.p.n_kernel * (c.n_i - 1) * (c.n_j - 1);
    float2 sum{0.0f, 0.0f};
    if (i + 1 < c.n_i && j > 0) {
      const float2 s = g[i * (c.n_j - 1) + j - 1], z = plane[(i + 1) * c.n_j + j - 1];
      sum = float2{s.x * z.x - s.y * z.y, s.x * z.y + s.y * z.x};
    }
    if (i > 0 && j + 1 < c.n_j) {
      const float2 s = g[(i - 1) * (c.n_j - 1) + j], z = plane[(i - 1) * c.n_j + j + 1];
      sum.x += s.x * z.x + s.y * z.y;
      sum.y += s.x * z.y - s.y * z.x;
    }
    out[index] = sum;
  }
};

/// Coherence factor or brightness of one point.
struct PointAt {
  Batch c;
  const float2* sums;  ///< (points, receivers)
  bool coherence;
  Terms terms;
  float2* slope;  ///< the same
  SONORAY_HD void operator()(std::int64_t q) const {
    const float2* row = sums + q * c.n_rx;
    float real = 0.0f, imaginary = 0.0f, below = 0.0f;
    for (std::int64_t b = 0; b < c.n_rx; ++b) {
      real += row[b].x;
      imaginary += row[b].y;
      below += simd::root(row[b].x * row[b].x + row[b].y * row[b].y);
    }
    if (!coherence) below = total(c.p.tx_weight, c.n_tx, q) * total(c.p.rx_weight, c.n_rx, q);
    const PointTerm term = point_term(real, imaginary, below, coherence);
    terms.value[q] = term.value;
    terms.counts[q] = term.counts;
    for (std::int64_t b = 0; b < c.n_rx; ++b) {
      const float size = simd::root(row[b].x * row[b].x + row[b].y * row[b].y);
      const float back = size > 0.0f ? term.back / size : 0.0f;
      slope[q * c.n_rx + b] = float2{real * term.along + back * row[b].x, imaginary * term.along + back * row[b].y};
    }
  }
  SONORAY_HD float total(const View<const float, 2>& w, std::int64_t n, std::int64_t q) const {
    if (!w.data) return static_cast<float>(n);
    float sum = 0.0f;
    for (std::int64_t e = 0; e < n; ++e) sum += w.data[e * c.n_points + c.first + q];
    return sum;
  }
};

/// Correlation of a receiver with the next one, and the derivatives with respect to it.
struct NeighboursAt {
  Batch c;
  const float2* sums;
  Terms terms;
  float2* slope;
  struct Link {
    float value, inverse;
  };
  SONORAY_HD Link link(const float2* first, std::int64_t b) const {
    if (b < 0 || b + 1 >= c.n_rx) return {0.0f, 0.0f};
    float product = 0.0f, low = 0.0f, high = 0.0f;
    for (std::int64_t k = 0; k < c.p.n_kernel; ++k) {
      const float2 x = first[k * c.n_rx + b], y = first[k * c.n_rx + b + 1];
      product += x.x * y.x + x.y * y.y;
      low += x.x * x.x + x.y * x.y;
      high += y.x * y.x + y.y * y.y;
    }
    const float energy = simd::root(low) * simd::root(high);
    return energy > 0.0f ? Link{product / energy, 1.0f / energy} : Link{0.0f, 0.0f};
  }
  SONORAY_HD void operator()(std::int64_t index) const {
    const std::int64_t patch = index / c.n_rx, b = index - patch * c.n_rx, start = patch * c.p.n_kernel * c.n_rx;
    const float2* first = sums + start;
    const Link before = link(first, b - 1), after = link(first, b);
    float power = 0.0f;
    for (std::int64_t k = 0; k < c.p.n_kernel; ++k) {
      const float2 z = first[k * c.n_rx + b];
      power += z.x * z.x + z.y * z.y;
    }
    const float own = power > 0.0f ? (before.value + after.value) / power : 0.0f;
    for (std::int64_t k = 0; k < c.p.n_kernel; ++k) {
      const float2* row = first + k * c.n_rx + b;
      float2 g{own * row[0].x, own * row[0].y};
      if (before.inverse > 0.0f) g = float2{g.x - before.inverse * row[-1].x, g.y - before.inverse * row[-1].y};
      if (after.inverse > 0.0f) g = float2{g.x - after.inverse * row[1].x, g.y - after.inverse * row[1].y};
      slope[start + k * c.n_rx + b] = g;
    }
    terms.value[index] = after.value;
    terms.counts[index] = after.inverse > 0.0f ? 1.0f : 0.0f;
  }
};

/// Change of the loss with the time of every value. The slopes are per value, per point and receiver, or per point.
struct ChangeAt {
  Batch c;
  const float2 *derivative, *slope;
  int axes;  ///< of `slope`: 3, 2 or 1
  float* out;
  SONORAY_HD void operator()(std::int64_t i) const {
    const std::int64_t row = i / c.n_rx, q = row / c.n_tx;
    const float2 g = slope[axes == 3 ? i : axes == 2 ? q * c.n_rx + (i - row * c.n_rx) : q], d = derivative[i];
    out[i] = g.x * d.x + g.y * d.y;
  }
};

/// Sums of changes over receivers or transmits.
struct GatherAt {
  Batch c;
  const float* change;
  bool tx;
  float* out;
  SONORAY_HD void operator()(std::int64_t i) const {
    const std::int64_t n = tx ? c.n_tx : c.n_rx, q = i / n, e = i - q * n;
    const float* from = change + q * c.n_tx * c.n_rx + (tx ? e * c.n_rx : e);
    const std::int64_t stride = tx ? 1 : c.n_rx, count = tx ? c.n_rx : c.n_tx;
    float sum = 0.0f;
    for (std::int64_t t = 0; t < count; ++t) sum += from[t * stride];
    out[e * c.n_points + c.first + q] = sum;
  }
};

/// Adds n terms to totals[0] and totals[1], by one block in a fixed order.
__global__ void add_terms(std::int64_t n, Terms terms, double* totals) {
  __shared__ double values[block], counts[block];
  double value = 0.0, count = 0.0;
  for (std::int64_t i = threadIdx.x; i < n; i += block) {
    value += terms.value[i];
    count += terms.counts[i];
  }
  values[threadIdx.x] = value;
  counts[threadIdx.x] = count;
  for (int half = block / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      values[threadIdx.x] += values[threadIdx.x + half];
      counts[threadIdx.x] += counts[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    totals[0] += values[0];
    totals[1] += counts[0];
  }
}

struct Finish {
  FocusCriterion criterion;
  const double* totals;
  double* loss;
  SONORAY_HD void operator()(std::int64_t) const { *loss = mean_loss(criterion, totals[0], totals[1]); }
};

struct DivideByCount {
  const double* totals;
  float* x;
  SONORAY_HD void operator()(std::int64_t i) const { x[i] *= totals[1] > 0.0 ? float(1.0 / totals[1]) : 0.0f; }
};

/// Room for a batch, allocated once.
struct Room {
  std::int64_t points;
  Scratch<Arrival<float>> tx, rx;
  Scratch<float2> u, derivative, other;

  static std::int64_t points_of(const Batch& c) {
    const std::int64_t patch = c.p.n_kernel * c.n_tx * c.n_rx, patches = batch_values / patch;
    const std::int64_t points = (patches > 1 ? patches : 1) * c.p.n_kernel;
    return points < c.n_points ? points : c.n_points;
  }
  Room(const Cuda& exec, const Batch& c, bool slopes)
      : points(points_of(c)),
        tx(exec, points * c.n_tx),
        rx(exec, points * c.n_rx),
        u(exec, points * c.n_tx * c.n_rx),
        derivative(exec, slopes ? points * c.n_tx * c.n_rx : 0),
        other(exec, points * c.n_tx * c.n_rx) {}
};

void focus(const Cuda& exec, const Batch& c, const Room& room, bool slopes, float2* u) {
  for_each(exec, c.n_tx * c.n, PlaceAt{c, true, room.tx.data()});
  for_each(exec, c.n_rx * c.n, PlaceAt{c, false, room.rx.data()});
  const std::int64_t n = c.n * c.n_tx * c.n_rx;
  if (slopes) {
    for_each(exec, n, FocusAt<true>{c, room.tx.data(), room.rx.data(), u, room.derivative.data()});
  } else {
    for_each(exec, n, FocusAt<false>{c, room.tx.data(), room.rx.data(), u, nullptr});
  }
}

/// Sums over sub-apertures, (points, n_i, n_j), into `u`.
void sum_sub_apertures(const Cuda& exec, const Batch& c, const Room& room) {
  float2 *u = room.u.data(), *other = room.other.data();
  for_each(exec, c.n * c.n_tx * c.n_j, SumNeighbours{u, other, c.n_rx, c.n_j, 1, c.length, false});
  for_each(exec, c.n * c.n_i * c.n_j, SumNeighbours{other, u, c.n_tx, c.n_i, c.n_j, c.length, false});
}

void give(const Cuda& exec, const Batch& c, const Room& room, const float2* slope, int axes, float* change,
          View<float, 2> tx_slope, View<float, 2> rx_slope) {
  for_each(exec, c.n * c.n_tx * c.n_rx, ChangeAt{c, room.derivative.data(), slope, axes, change});
  for_each(exec, c.n * c.n_tx, GatherAt{c, change, true, tx_slope.data});
  for_each(exec, c.n * c.n_rx, GatherAt{c, change, false, rx_slope.data});
}

void add(const Cuda& exec, std::int64_t n, const Terms& terms, double* totals) {
  const DeviceGuard guard(exec.device);
  add_terms<<<1, block, 0, stream_of(exec)>>>(n, terms, totals);
  check(cudaGetLastError(), "kernel launch");
}

void phase_batch(const Cuda& exec, const Batch& c, const FocusCriterion& criterion, const Room& room, double* totals,
                 View<float, 2> tx_slope, View<float, 2> rx_slope) {
  const bool slopes = tx_slope.data != nullptr;
  const std::int64_t n = c.n / c.p.n_kernel * (c.n_i - 1) * (c.n_j - 1);
  const Scratch<double> values(exec, n);
  const Scratch<float> counts(exec, n);
  const Scratch<float2> slope(exec, n);
  float2 *u = room.u.data(), *other = room.other.data();
  focus(exec, c, room, slopes, u);
  sum_sub_apertures(exec, c, room);
  for_each(exec, n, PhaseAt{PairAt{c, u}, criterion, Terms{values.data(), counts.data()}, slope.data()});
  add(exec, n, Terms{values.data(), counts.data()}, totals);
  if (!slopes) return;
  for_each(exec, c.n * c.n_i * c.n_j, PairsBackAt{c, u, slope.data(), other});
  for_each(exec, c.n * c.n_tx * c.n_j, SumNeighbours{other, u, c.n_i, c.n_tx, c.n_j, c.length, true});
  for_each(exec, c.n * c.n_tx * c.n_rx, SumNeighbours{u, other, c.n_j, c.n_rx, 1, c.length, true});
  give(exec, c, room, other, 3, reinterpret_cast<float*>(u), tx_slope, rx_slope);
}

void row_batch(const Cuda& exec, const Batch& c, const FocusCriterion& criterion, const Room& room, double* totals,
               View<float, 2> tx_slope, View<float, 2> rx_slope) {
  const bool slopes = tx_slope.data != nullptr, neighbours = criterion.measure == FocusMeasure::lag_one_coherence;
  const std::int64_t n = neighbours ? c.n / c.p.n_kernel * c.n_rx : c.n;
  const Scratch<double> values(exec, n);
  const Scratch<float> counts(exec, n);
  const Scratch<float2> sums(exec, c.n * c.n_rx), slope(exec, c.n * c.n_rx);
  const Terms terms{values.data(), counts.data()};
  focus(exec, c, room, slopes, room.u.data());
  for_each(exec, c.n * c.n_rx, SumNeighbours{room.u.data(), sums.data(), c.n_tx, 1, c.n_rx, c.n_tx, false});
  if (neighbours) {
    for_each(exec, n, NeighboursAt{c, sums.data(), terms, slope.data()});
  } else {
    const bool coherence = criterion.measure == FocusMeasure::coherence_factor;
    for_each(exec, n, PointAt{c, sums.data(), coherence, terms, slope.data()});
  }
  add(exec, n, terms, totals);
  if (slopes) give(exec, c, room, slope.data(), 2, reinterpret_cast<float*>(room.u.data()), tx_slope, rx_slope);
}

/// work(batch) for all points, some patches at a time.
template <class Work>
void in_batches(Batch c, std::int64_t points, const Work& work) {
  for (; c.first < c.n_points; c.first += points) {
    c.n = c.n_points - c.first < points ? c.n_points - c.first : points;
    work(c);
  }
}

}  // namespace

template <>
void focus_correlations(const Cuda& exec, const FocusProblem& p, std::int64_t sub_aperture,
                        View<std::complex<float>, 3> correlation, View<float, 3> energy) {
  check_problem(p);
  check_sub_aperture(p, sub_aperture);
  check_pairs(p, sub_aperture, correlation, "correlation");
  check_pairs(p, sub_aperture, energy, "energy");
  const Batch all(p, sub_aperture);
  const Room room(exec, all, false);
  const std::int64_t pairs = correlation.shape[1] * correlation.shape[2];
  in_batches(all, room.points, [&](const Batch& c) {
    focus(exec, c, room, false, room.u.data());
    sum_sub_apertures(exec, c, room);
    const std::int64_t first = c.first / p.n_kernel * pairs;
    for_each(exec, c.n / p.n_kernel * pairs,
             CorrelateAt{PairAt{c, room.u.data()}, reinterpret_cast<float2*>(correlation.data) + first,
                         energy.data + first});
  });
}

template <>
void focus_loss(const Cuda& exec, const FocusProblem& p, const FocusCriterion& criterion, View<double, 1> loss,
                View<float, 2> tx_slope, View<float, 2> rx_slope) {
  const bool of_phases = criterion.measure == FocusMeasure::phase_error;
  check_problem(p);
  check_slopes(p, tx_slope, rx_slope, false);
  if (of_phases) check_sub_aperture(p, criterion.sub_aperture);
  require(loss.shape[0] == 1, "loss: expected room for one number");
  const Batch all(p, of_phases ? criterion.sub_aperture : 1);
  const Room room(exec, all, tx_slope.data != nullptr);
  const Scratch<double> totals(exec, 2);
  {
    const DeviceGuard guard(exec.device);
    check(cudaMemsetAsync(totals.data(), 0, 2 * sizeof(double), stream_of(exec)), "cudaMemsetAsync");
  }
  in_batches(all, room.points, [&](const Batch& c) {
    of_phases ? phase_batch(exec, c, criterion, room, totals.data(), tx_slope, rx_slope)
              : row_batch(exec, c, criterion, room, totals.data(), tx_slope, rx_slope);
  });
  for_each(exec, 1, Finish{criterion, totals.data(), loss.data});
  if (!tx_slope) return;
  for_each(exec, tx_slope.size(), DivideByCount{totals.data(), tx_slope.data});
  for_each(exec, rx_slope.size(), DivideByCount{totals.data(), rx_slope.data});
}

template <>
void focus_image_slopes(const Cuda& exec, const FocusProblem& p, View<const std::complex<float>, 1> cotangent,
                        View<float, 2> tx_slope, View<float, 2> rx_slope) {
  check_problem(p);
  check_slopes(p, tx_slope, rx_slope, true);
  require(cotangent.shape[0] == p.tx_time.shape[1], "cotangent: expected one number per point");
  const Batch all(p, 1);
  const Room room(exec, all, true);
  in_batches(all, room.points, [&](const Batch& c) {
    focus(exec, c, room, true, nullptr);
    give(exec, c, room, reinterpret_cast<const float2*>(cotangent.data) + c.first, 1,
         reinterpret_cast<float*>(room.other.data()), tx_slope, rx_slope);
  });
}

}  // namespace sonoray
