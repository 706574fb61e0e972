#pragma once
// The schedule over points: W neighbouring points of a row of the image at once.
//
// Their samples lie close together, so two vector loads and a permutation replace W gathers. Receive times, windows
// and phasors are computed once per tile of points and element and shared by all transmits and frames; of each trace
// the few samples that a tile needs are first copied to a stage, which converts them, pads them with zeros and keeps
// them in cache.
#include <cstring>
#include <initializer_list>

#include "beamforming/das_kernel.h"
#include "beamforming/das_levels.h"
#include "beamforming/das_stage.h"
#include "beamforming/das_work.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

using simd::largest;
using simd::load;
using simd::smallest;
using simd::store;

SONORAY_INLINE std::int32_t floor_int(float x) { return static_cast<std::int32_t>(__builtin_floorf(x)); }

template <int W, bool IQ, int TAPS, bool WEIGHTED>
class Tile {
  using F = simd::Float<W>;
  using I = simd::Int<W>;

 public:
  Tile(const DasProblem& p, const DasTiles& tiles, const DasRecord& record, std::int64_t tile, float* scratch)
      : p_(p),
        record_(record),
        work_(scratch, p, tiles, record.n_samples, IQ),
        capacity_(tiles.elements),
        stride_g_(das_group_stride(tiles)) {
    row_ = tile / tiles.across * (tiles.blocks * W);
    column_ = tile % tiles.across * tiles.columns;
    n_rows_ = tiles.n_rows;
    n_columns_ = tiles.n_columns;
    const std::int64_t rows = n_rows_ - row_, columns = n_columns_ - column_;
    blocks_ = static_cast<int>((rows < tiles.blocks * W ? rows + W - 1 : tiles.blocks * W) / W);
    columns_ = static_cast<int>(columns < tiles.columns ? columns : tiles.columns);
    groups_ = blocks_ * columns_;
    n_tx_ = p.tx_time.shape[0];
    transmits_ = tiles.transmits;
    weighted_ = das_kernel::is_weighted(p);
    n_sums_ = p.compounding == Compounding::coherent ? 1 : n_tx_;
    place_points();
  }

  void run(std::int64_t first_frame, int frames, float* image) {
    std::memset(work_.sum, 0, frames * n_sums_ * groups_ * parts * W * sizeof(float));
    int n = 0;
    for (std::int64_t t0 = 0; t0 < n_tx_; t0 += n) {
      for (n = 0; n < transmits_ && t0 + n < n_tx_ && same_aperture(t0, t0 + n); ++n) prepare_transmit(t0 + n, n);
      transmit_ = t0;
      for (std::int64_t e = 0; e < p_.elements.shape[0];) {
        e = receive_block(e);
        place_entries(n);
        for (int i = 0; slots_ && i < n; ++i) {
          if (work_.tx_high[i] < work_.tx_low[i]) continue;
          for (int f = 0; f < frames; ++f) {
            stage(first_frame + f, t0 + i, i);
            float* sum = work_.sum + (f * n_sums_ + (n_sums_ > 1 ? t0 + i : 0)) * groups_ * parts * W;
            for (int g = 0; g < groups_; ++g)
              if (work_.tx_on[i * groups_ + g]) add_group(i, g, sum + g * parts * W);
          }
        }
      }
    }
    for (int f = 0; f < frames; ++f) write(first_frame + f, work_.sum + f * n_sums_ * groups_ * parts * W, image);
  }

 protected:  // aperture_tile.h keeps the elements' samples apart
  static constexpr int parts = IQ ? 2 : 1;

  /// Whether two transmits have the same receive aperture, so that they share receive times and weights.
  bool same_aperture(std::int64_t t, std::int64_t u) const {
    for (const View<const float, 2>* rows : {&p_.axes, &p_.rx_weight}) {
      if (!rows->data || rows->shape[0] == 1) continue;
      const float *a = das_kernel::row_of(*rows, t), *b = das_kernel::row_of(*rows, u);
      if (std::memcmp(a, b, rows->shape[1] * sizeof(float))) return false;
    }
    return true;
  }

  /// The point of a lane in a group; lanes beyond the last row repeat it.
  SONORAY_INLINE std::int64_t point(int group, int lane) const {
    const std::int64_t row = row_ + group / columns_ * W + lane;
    return (row < n_rows_ ? row : n_rows_ - 1) * n_columns_ + column_ + group % columns_;
  }

  void place_points() {
    for (int g = 0; g < groups_; ++g) {
      for (int l = 0; l < W; ++l) {
        const float* at = p_.points.data + 3 * point(g, l);
        work_.x[g * W + l] = at[0];
        work_.y[g * W + l] = at[1];
        work_.z[g * W + l] = at[2];
      }
      if (!p_.rx_slowness.data) continue;
      const auto cell =
          das_kernel::find_cell(p_, load<F>(work_.x + g * W), load<F>(work_.y + g * W), load<F>(work_.z + g * W));
      std::memcpy(work_.node + g * W, &cell.node, sizeof(I));
      store(work_.cell_x + g * W, cell.x);
      store(work_.cell_y + g * W, cell.y);
      store(work_.cell_z + g * W, cell.z);
    }
  }

  /// Receive times and weights of up to capacity_ elements from e on; elements that see nothing take no room.
  std::int64_t receive_block(std::int64_t e) {
    std::memset(work_.count, 0, groups_ * sizeof(std::int32_t));
    std::memset(work_.group_top, 0, groups_ * sizeof(float));
    for (slots_ = 0; e < p_.elements.shape[0] && slots_ < capacity_; ++e) {
      low_ = 1;
      high_ = 0;
      for (int g = 0; g < groups_; g += 8) receive_groups(e, g, groups_ - g < 8 ? groups_ - g : 8);
      if (high_ < low_) continue;
      work_.element[slots_] = static_cast<std::int32_t>(e);
      work_.low[slots_] = low_;
      work_.high[slots_] = high_;
      ++slots_;
    }
    for (int g = 0; g < groups_ && !weighted_; ++g) work_.count[g] = slots_;
    return e;
  }

  /// Eight groups at once, so that their ranges are found together.
  SONORAY_INLINE void receive_groups(std::int64_t e, int first, int n) {
    F samples[8];
    unsigned seen = 0;
    if (!weighted_) {
      for (int j = 0; j < 8; ++j) receive_group(e, first + (j < n ? j : 0), samples[j]);
      seen = 255;
    } else {
      for (int j = 0; j < 8; ++j) {
        samples[j] = F() + 0.0f;
        if (j < n && receive_group(e, first + j, samples[j])) seen |= 1u << j;
      }
    }
    if (!seen) return;
    simd::Float<8> lowest, highest;
    simd::range_of_each(samples, lowest, highest);
    const simd::Int<8> base = simd::to_int(lowest), last = simd::to_int(highest) + 1;  // times are positive
    const simd::Float<8> whole = simd::to_float<simd::Float<8>>(base), top = highest - whole;
    if (!weighted_) {  // every group has this element as its entry number slots_
      const std::int64_t k = slots_ * stride_g_ + first;
      const simd::Int<8> slot = simd::Int<8>{} + slots_;
      std::memcpy(work_.base + k, &base, sizeof base);
      std::memcpy(work_.slot + k, &slot, sizeof slot);
      store(work_.top + k, top);
      const auto least = simd::load<simd::Float<8>>(work_.group_top + first);
      store(work_.group_top + first, top > least ? top : least);
      for (int j = 0; j < n; ++j) store(work_.offset + ((first + j) * capacity_ + slots_) * W, samples[j] - whole[j]);
      widen(static_cast<std::int32_t>(smallest(lowest)), static_cast<std::int32_t>(largest(highest)) + 1);
      return;
    }
    for (int j = 0; j < n; ++j) {
      if (!(seen >> j & 1u)) continue;
      const int g = first + j;
      const std::int64_t entry = work_.count[g]++, k = entry * stride_g_ + g;
      work_.base[k] = base[j];
      work_.slot[k] = slots_;
      work_.top[k] = top[j];
      work_.group_top[g] = top[j] > work_.group_top[g] ? top[j] : work_.group_top[g];
      store(work_.offset + (g * capacity_ + entry) * W, samples[j] - whole[j]);
      widen(base[j], last[j]);
    }
  }

  /// Takes [low, high] into the range of the element's receive times.
  SONORAY_INLINE void widen(std::int32_t low, std::int32_t high) {
    const bool first = high_ < low_;
    low_ = first || low < low_ ? low : low_;
    high_ = first || high > high_ ? high : high_;
  }

  /// One element and group: receive times in samples; weights go to the next entry. False if it sees no point.
  SONORAY_INLINE bool receive_group(std::int64_t e, int g, F& samples) {
    const auto path = das_kernel::receive_path(p_, transmit_, e, load<F>(work_.x + g * W), load<F>(work_.y + g * W),
                                               load<F>(work_.z + g * W));
    if (WEIGHTED && weighted_ && largest(path.weight < 0.0f ? -path.weight : path.weight) == 0.0f) return false;
    das_kernel::Cell<F> cell{};
    if (p_.rx_slowness.data) {
      std::memcpy(&cell.node, work_.node + g * W, sizeof(I));
      cell.x = load<F>(work_.cell_x + g * W);
      cell.y = load<F>(work_.cell_y + g * W);
      cell.z = load<F>(work_.cell_z + g * W);
    }
    const F time = das_kernel::receive_time(p_, e, path, cell);
    samples = time * p_.sampling_frequency;
    const std::int64_t k = g * capacity_ + (weighted_ ? work_.count[g] : slots_);
    if (IQ) {
      F real, imaginary;
      das_kernel::phasor(time, p_.demodulation_frequency, real, imaginary);
      store(work_.real + k * W, real * path.weight);
      store(work_.imaginary + k * W, imaginary * path.weight);
    } else if (WEIGHTED) {
      store(work_.real + k * W, path.weight);
    }
    return true;
  }

  /// Transmit times and weights of the tile.
  void prepare_transmit(std::int64_t t, int i) {
    const std::int64_t n = n_rows_ * n_columns_;
    std::int32_t low = 1, high = 0;
    for (int g = 0; g < groups_; ++g) {
      const std::int64_t k = i * groups_ + g;
      F time = F(), weight = F() + 1.0f;
      for (int l = 0; l < W; ++l) time[l] = p_.tx_time.data[t * n + point(g, l)];
      if (p_.tx_weight.data) {
        for (int l = 0; l < W; ++l) weight[l] = p_.tx_weight.data[t * n + point(g, l)];
      }
      work_.tx_on[k] = !p_.tx_weight.data || largest(weight < 0.0f ? -weight : weight) > 0.0f;
      if (!work_.tx_on[k]) continue;
      F samples = das_kernel::transmit_samples(p_, t, time);
      const std::int32_t base = floor_int(smallest(samples));
      samples -= static_cast<float>(base);
      work_.tx_base[k] = base;
      work_.tx_top[k] = largest(samples);
      store(work_.tx + k * W, samples);
      if (IQ) {
        F real, imaginary;
        das_kernel::phasor(time, p_.demodulation_frequency, real, imaginary);
        store(work_.tx_imaginary + k * W, imaginary * weight);
        weight *= real;
      }
      store(work_.tx_real + k * W, weight);
      const std::int32_t last = base + static_cast<std::int32_t>(work_.tx_top[k]) + 1;
      const bool first = high < low;
      low = first || base < low ? base : low;
      high = first || last > high ? last : high;
    }
    work_.tx_low[i] = low;
    work_.tx_high[i] = high;
  }

  /// Gives every staged trace the same length, enough for all transmits, and every entry its place. Only where that
  /// is longer than the record itself (points far apart) is the stage cut to the record, for add_spread.
  void place_entries(int transmits) {
    std::int32_t rx = 0, tx = 0;
    for (int s = 0; s < slots_; ++s) rx = work_.high[s] - work_.low[s] > rx ? work_.high[s] - work_.low[s] : rx;
    for (int i = 0; i < transmits; ++i)
      tx = work_.tx_high[i] - work_.tx_low[i] > tx ? work_.tx_high[i] - work_.tx_low[i] : tx;
    stride_ = (rx + tx + 2 * W + 4 + 15) / 16 * 16;  // whole vectors are read, from one tap before the first sample on
    whole_ = stride_ <= das_stage_stride(record_.n_samples);
    if (!whole_) return;
    if (!weighted_) {
      for (int s = 0; s < slots_; ++s) {
        const std::int32_t shift = 1 - work_.low[s] + s * stride_;
        std::int32_t* place = work_.place + s * stride_g_;
        const std::int32_t* base = work_.base + s * stride_g_;
        for (int g = 0; g < groups_; ++g) place[g] = base[g] + shift;
      }
      return;
    }
    for (int g = 0; g < groups_; ++g) {
      for (std::int64_t k = g, last = g + work_.count[g] * stride_g_; k < last; k += stride_g_)
        work_.place[k] = work_.base[k] - work_.low[work_.slot[k]] + work_.slot[k] * stride_ + 1;
    }
  }

  void stage(std::int64_t frame, std::int64_t t, int i) {
    const char* traces = record_.data + frame * record_.frame + t * record_.tx;
    const auto end = static_cast<std::int32_t>(record_.n_samples) + das_margin;
    const std::int32_t stride = whole_ ? stride_ : static_cast<std::int32_t>(das_stage_stride(record_.n_samples));
    for (int s = 0; s < slots_; ++s) {
      std::int32_t from = work_.tx_low[i] + work_.low[s] - 1, until = from + stride;
      if (!whole_) {
        from = from > -das_margin ? from : -das_margin;
        until = work_.tx_high[i] + work_.high[s] + 4;
        until = until < end ? until : end;
        until = until < from ? from : until;
      }
      work_.shift[s] = s * stride - from;
      stage_trace(record_, traces + work_.element[s] * record_.rx, from, until, work_.stage + s * stride,
                  IQ ? work_.stage_imaginary + s * stride : nullptr);
    }
  }

  SONORAY_INLINE void add_group(int i, int g, float* sum) const {
    const std::int64_t k = i * groups_ + g;
    F re = F() + 0.0f, im = F() + 0.0f;
    if (whole_ && work_.tx_top[k] + work_.group_top[g] < 2 * W) {
      add_near(i, g, re, im);
    } else {
      add_spread(i, g, re, im);
    }
    const F weight = load<F>(work_.tx_real + k * W);
    if (IQ) {
      const F turn = load<F>(work_.tx_imaginary + k * W);
      store(sum, load<F>(sum) + (re * weight - im * turn));
      store(sum + W, load<F>(sum + W) + (re * turn + im * weight));
    } else {
      store(sum, load<F>(sum) + re * weight);
    }
  }

  /// Sum over elements where two vectors hold all samples that a group needs of a trace, often one does.
  __attribute__((noinline)) void add_near(int i, int g, F& re_sum, F& im_sum) const {
    const float *real = work_.real + g * capacity_ * W, *imaginary = work_.imaginary + g * capacity_ * W;
    F re = F() + 0.0f, im = F() + 0.0f;
    each_near(i, g, [&](std::int64_t k, F a, F b) { add(a, b, real + k * W, imaginary + k * W, re, im); });
    re_sum = re;
    im_sum = im;
  }

  /// The same for points far apart: every lane for itself.
  __attribute__((noinline)) void add_spread(int i, int g, F& re, F& im) const {
    const float *real = work_.real + g * capacity_ * W, *imaginary = work_.imaginary + g * capacity_ * W;
    each_spread(i, g, [&](std::int64_t k, F a, F b) { add(a, b, real + k * W, imaginary + k * W, re, im); });
  }

  /// Calls take(entry, real, imaginary) with the samples of every entry of a group.
  template <class Take>
  SONORAY_INLINE void each_near(int i, int g, const Take& take) const {
    const std::int64_t step = stride_g_;
    const float *top = work_.top + g, *offset = work_.offset + g * capacity_ * W;
    const std::int32_t* place = work_.place + g;
    const F tx = load<F>(work_.tx + (i * groups_ + g) * W);
    const float tx_top = work_.tx_top[i * groups_ + g];
    const std::int64_t start = work_.tx_base[i * groups_ + g] - work_.tx_low[i], n = work_.count[g];
    const float *stage = work_.stage + start, *stage_imaginary = work_.stage_imaginary + start;
    for (std::int64_t k = 0; k < n; ++k, top += step, place += step) {
      const F index = tx + load<F>(offset + k * W);
      const I whole = simd::to_int(index);
      const F f = index - simd::to_float<F>(whole);
      F a, b = F();
      // Rounding is monotonic: the sum of the largest parts bounds every lane's index.
      if (tx_top + *top < W) {
        a = sample<1>(stage + *place, whole, f);
        if (IQ) b = sample<1>(stage_imaginary + *place, whole, f);
      } else {
        a = sample<2>(stage + *place, whole, f);
        if (IQ) b = sample<2>(stage_imaginary + *place, whole, f);
      }
      take(k, a, b);
    }
  }

  template <class Take>
  SONORAY_INLINE void each_spread(int i, int g, const Take& take) const {
    const F tx = load<F>(work_.tx + (i * groups_ + g) * W);
    const float* offset = work_.offset + g * capacity_ * W;
    for (std::int64_t k = 0, j = g; k < work_.count[g]; ++k, j += stride_g_) {
      const F index = tx + load<F>(offset + k * W);
      I whole = simd::to_int(index);
      const F f = index - simd::to_float<F>(whole);
      const I at = whole + (work_.tx_base[i * groups_ + g] + work_.base[j]);
      const I inside = (at > -das_margin) & (at < static_cast<std::int32_t>(record_.n_samples) + das_margin - 3);
      const I where = at + work_.shift[work_.slot[j]];
      whole = (where & inside) + (~inside & 8);  // any place that may be read; its value is dropped
      const F a = sample<0>(work_.stage, whole, f), b = IQ ? sample<0>(work_.stage_imaginary, whole, f) : F();
      take(k, inside ? a : F() + 0.0f, inside ? b : F() + 0.0f);
    }
  }

  /// Adds one element's samples, times weight and phasor.
  static SONORAY_INLINE void add(F a, F b, const float* real, const float* imaginary, F& re, F& im) {
    if (!IQ) {
      re += WEIGHTED ? a * load<F>(real) : a;
      return;
    }
    const F c = load<F>(real), s = load<F>(imaginary);
    re += a * c;
    re -= b * s;
    im += a * s;
    im += b * c;
  }

  template <int WINDOWS>
  static SONORAY_INLINE F sample(const float* at, I i, F f) {
    if (TAPS == 2) {
      const F a = pick<WINDOWS>(at, i);
      return a + f * (pick<WINDOWS>(at + 1, i) - a);
    }
    F weight[TAPS];
    das_kernel::tap_weights<TAPS>(f, weight);
    F value = weight[0] * pick<WINDOWS>(at - 1, i);
    for (int tap = 1; tap < TAPS; ++tap) value += weight[tap] * pick<WINDOWS>(at - 1 + tap, i);
    return value;
  }

  template <int WINDOWS>
  static SONORAY_INLINE F pick(const float* at, I i) {
    if constexpr (WINDOWS == 1) return simd::window1<F>(at, i);
    if constexpr (WINDOWS == 2) return simd::window2<F>(at, i);
    return simd::gather<F>(at, i);
  }

  void write(std::int64_t frame, const float* sum, float* image) const {
    const std::int64_t n = n_rows_ * n_columns_, stride = groups_ * parts * W;
    for (int g = 0; g < groups_; ++g) {
      for (int l = 0; l < W && row_ + g / columns_ * W + l < n_rows_; ++l) {
        const std::int64_t at = point(g, l);
        const float* from = sum + g * parts * W + l;
        if (p_.compounding == Compounding::incoherent) {
          float total = 0.0f;
          for (std::int64_t t = 0; t < n_tx_; ++t) {
            const float* v = from + t * stride;
            total += IQ ? __builtin_sqrtf(v[0] * v[0] + v[W] * v[W]) : __builtin_fabsf(v[0]);
          }
          image[frame * n + at] = total;
          continue;
        }
        for (std::int64_t t = 0; t < n_sums_; ++t)
          for (int c = 0; c < parts; ++c)
            image[((frame * n_sums_ + t) * n + at) * parts + c] = from[t * stride + c * W];
      }
    }
  }

  const DasProblem& p_;
  const DasRecord& record_;
  Work work_;
  const std::int64_t capacity_, stride_g_;  // of the arrays over entries
  std::int64_t row_, column_, n_rows_, n_columns_, n_tx_, n_sums_;
  int blocks_, columns_, groups_, transmits_, slots_ = 0;
  bool weighted_, whole_ = true;
  std::int64_t transmit_ = 0;                     // first of the block at hand
  std::int32_t low_ = 1, high_ = 0, stride_ = 0;  // receive times of the element at hand; length of a staged trace
};

}  // namespace
}  // namespace SONORAY_LEVEL
}  // namespace sonoray
