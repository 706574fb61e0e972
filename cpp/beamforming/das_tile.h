#pragma once
// The schedule over points: W neighbouring points of a row of the image at once.
//
// Their samples lie close together, so two vector loads and a permutation replace W gathers. Receive times, windows
// and phasors are computed once per tile of points and element and shared by all transmits and frames; of each trace
// the few samples that a tile needs are first copied to a stage, which converts them, pads them with zeros and keeps
// them in cache.
#include <cstring>

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
      : p_(p), record_(record), work_(scratch, p, tiles, record.n_samples, IQ), capacity_(tiles.elements) {
    row_ = tile / tiles.across * (tiles.blocks * W);
    column_ = tile % tiles.across * tiles.columns;
    n_rows_ = tiles.n_rows;
    n_columns_ = tiles.n_columns;
    const std::int64_t rows = n_rows_ - row_, columns = n_columns_ - column_;
    blocks_ = static_cast<int>((rows < tiles.blocks * W ? rows + W - 1 : tiles.blocks * W) / W);
    columns_ = static_cast<int>(columns < tiles.columns ? columns : tiles.columns);
    groups_ = blocks_ * columns_;
    n_tx_ = p.tx_time.shape[0];
    n_sums_ = p.compounding == Compounding::coherent ? 1 : n_tx_;
    place_points();
  }

  void run(std::int64_t first_frame, int frames, float* image) {
    std::memset(work_.sum, 0, frames * n_sums_ * groups_ * parts * W * sizeof(float));
    for (std::int64_t e = 0; e < p_.elements.shape[0];) {
      e = receive_block(e);
      for (std::int64_t t = 0; slots_ && t < n_tx_; ++t) {
        if (!prepare_transmit(t)) continue;
        for (int f = 0; f < frames; ++f) {
          stage(first_frame + f, t);
          float* sum = work_.sum + (f * n_sums_ + (n_sums_ > 1 ? t : 0)) * groups_ * parts * W;
          for (int g = 0; g < groups_; ++g)
            if (work_.tx_on[g]) add_group(g, sum + g * parts * W);
        }
      }
    }
    for (int f = 0; f < frames; ++f) write(first_frame + f, work_.sum + f * n_sums_ * groups_ * parts * W, image);
  }

 private:
  static constexpr int parts = IQ ? 2 : 1;

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
      const auto cell = das_kernel::find_cell(p_, load<F>(work_.x + g * W), load<F>(work_.y + g * W),
                                              load<F>(work_.z + g * W));
      std::memcpy(work_.node + g * W, &cell.node, sizeof(I));
      store(work_.cell_x + g * W, cell.x);
      store(work_.cell_y + g * W, cell.y);
      store(work_.cell_z + g * W, cell.z);
    }
  }

  /// Receive times and weights of up to capacity_ elements from e on; elements that see nothing take no room.
  std::int64_t receive_block(std::int64_t e) {
    std::memset(work_.count, 0, groups_ * sizeof(std::int32_t));
    slots_ = 0;
    for (; e < p_.elements.shape[0] && slots_ < capacity_; ++e) {
      bool seen = false;
      std::int32_t low = 0, high = 0;
      for (int g = 0; g < groups_; ++g) {
        if (!receive_group(e, g)) continue;
        const std::int64_t k = g * capacity_ + work_.count[g]++;
        const std::int32_t first = work_.base[k], last = first + static_cast<std::int32_t>(work_.top[k]) + 1;
        low = !seen || first < low ? first : low;
        high = !seen || last > high ? last : high;
        seen = true;
      }
      if (!seen) continue;
      work_.element[slots_] = static_cast<std::int32_t>(e);
      work_.low[slots_] = low;
      work_.high[slots_] = high;
      ++slots_;
    }
    return e;
  }

  SONORAY_INLINE bool receive_group(std::int64_t e, int g) {
    const auto path = das_kernel::receive_path(p_, e, load<F>(work_.x + g * W), load<F>(work_.y + g * W),
                                               load<F>(work_.z + g * W));
    const bool weighted = p_.f_number > 0.0f || p_.wavelengths >= 0.0f;
    if (weighted && largest(path.weight < 0.0f ? -path.weight : path.weight) == 0.0f) return false;
    das_kernel::Cell<F> cell{};
    if (p_.rx_slowness.data) {
      std::memcpy(&cell.node, work_.node + g * W, sizeof(I));
      cell.x = load<F>(work_.cell_x + g * W);
      cell.y = load<F>(work_.cell_y + g * W);
      cell.z = load<F>(work_.cell_z + g * W);
    }
    const F time = das_kernel::receive_time(p_, e, path.distance, cell);
    F samples = das_kernel::receive_samples(p_, time);
    const std::int64_t k = g * capacity_ + work_.count[g];
    work_.base[k] = floor_int(smallest(samples));
    work_.slot[k] = slots_;
    samples -= static_cast<float>(work_.base[k]);
    work_.top[k] = largest(samples);
    store(work_.offset + k * W, samples);
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

  /// Transmit times of the tile, and where in the stage each trace will lie; false if no point counts.
  bool prepare_transmit(std::int64_t t) {
    const std::int64_t n = n_rows_ * n_columns_;
    bool any = false;
    std::int32_t low = 0, high = 0;
    for (int g = 0; g < groups_; ++g) {
      F time = F(), weight = F() + 1.0f;
      for (int l = 0; l < W; ++l) time[l] = p_.tx_time.data[t * n + point(g, l)];
      if (p_.tx_weight.data) {
        for (int l = 0; l < W; ++l) weight[l] = p_.tx_weight.data[t * n + point(g, l)];
      }
      work_.tx_on[g] = !p_.tx_weight.data || largest(weight < 0.0f ? -weight : weight) > 0.0f;
      if (!work_.tx_on[g]) continue;
      F samples = das_kernel::transmit_samples(p_, t, time);
      const std::int32_t base = floor_int(smallest(samples));
      samples -= static_cast<float>(base);
      work_.tx_base[g] = base;
      work_.tx_top[g] = largest(samples);
      store(work_.tx + g * W, samples);
      F imaginary;
      if (IQ) {
        F real;
        das_kernel::phasor(time, p_.demodulation_frequency, real, imaginary);
        store(work_.tx_imaginary + g * W, imaginary * weight);
        weight *= real;
      }
      store(work_.tx_real + g * W, weight);
      const std::int32_t last = base + static_cast<std::int32_t>(work_.tx_top[g]) + 1;
      low = !any || base < low ? base : low;
      high = !any || last > high ? last : high;
      any = true;
    }
    tx_low_ = low;
    tx_high_ = high;
    return any;
  }

  void stage(std::int64_t frame, std::int64_t t) {
    const char* traces = record_.data + frame * record_.frame + t * record_.tx;
    const auto end = static_cast<std::int32_t>(record_.n_samples) + das_margin;
    std::int32_t place = 0;
    for (int s = 0; s < slots_; ++s) {
      // Whole vectors are read, from one tap before the first sample on.
      std::int32_t from = tx_low_ + work_.low[s] - 1, until = tx_high_ + work_.high[s] + 2 * W + 8;
      from = from > -das_margin ? from : -das_margin;
      until = until < end ? until : end;
      if (until < from) until = from;
      work_.shift[s] = place - from;
      stage_trace(record_, traces + work_.element[s] * record_.rx, from, until, work_.stage + place,
                  IQ ? work_.stage_imaginary + place : nullptr);
      place += (until - from + 7) / 8 * 8;
    }
  }

  void add_group(int g, float* sum) const {
    const F tx = load<F>(work_.tx + g * W);
    const float tx_top = work_.tx_top[g];
    const std::int32_t tx_base = work_.tx_base[g], n = work_.count[g];
    const auto end = static_cast<std::int32_t>(record_.n_samples);
    F re = F() + 0.0f, im = F() + 0.0f;
    for (std::int64_t k = g * capacity_, last = k + n; k < last; ++k) {
      const std::int32_t base = tx_base + work_.base[k];
      const float top = tx_top + work_.top[k];
      const F index = tx + load<F>(work_.offset + k * W);
      const std::int32_t place = base + work_.shift[work_.slot[k]];
      if (top < 2 * W) {
        // Further out than this, every tap is outside the record.
        if (base <= -das_margin || base > end) continue;
        if (top < W) {
          add_entry<1>(k, index, place, base, re, im);
        } else {
          add_entry<2>(k, index, place, base, re, im);
        }
      } else {
        add_entry<0>(k, index, place, base, re, im);
      }
    }
    const F weight = load<F>(work_.tx_real + g * W);
    if (IQ) {
      const F turn = load<F>(work_.tx_imaginary + g * W);
      store(sum, load<F>(sum) + (re * weight - im * turn));
      store(sum + W, load<F>(sum + W) + (re * turn + im * weight));
    } else {
      store(sum, load<F>(sum) + re * weight);
    }
  }

  /// One element's part. WINDOWS vectors of samples hold what the group needs; 0: it is spread too far for that.
  template <int WINDOWS>
  SONORAY_INLINE void add_entry(std::int64_t k, F index, std::int32_t place, std::int32_t base, F& re, F& im) const {
    I i = simd::to_int(index);
    const F f = index - simd::to_float<F>(i);
    I inside;
    if (WINDOWS == 0) {
      const I at = i + base;
      inside = (at > -das_margin) & (at < static_cast<std::int32_t>(record_.n_samples) + das_margin - 3);
      i = (i & inside) + (~inside & (8 - place));  // any place that may be read; the value is dropped
    }
    F re_sample = sample<WINDOWS>(work_.stage + place, i, f);
    if (WINDOWS == 0) re_sample = inside ? re_sample : F() + 0.0f;
    if (!IQ) {
      re += WEIGHTED ? re_sample * load<F>(work_.real + k * W) : re_sample;
      return;
    }
    F im_sample = sample<WINDOWS>(work_.stage_imaginary + place, i, f);
    if (WINDOWS == 0) im_sample = inside ? im_sample : F() + 0.0f;
    const F c = load<F>(work_.real + k * W), s = load<F>(work_.imaginary + k * W);
    re += re_sample * c;
    re -= im_sample * s;
    im += re_sample * s;
    im += im_sample * c;
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
          for (int c = 0; c < parts; ++c) image[((frame * n_sums_ + t) * n + at) * parts + c] = from[t * stride + c * W];
      }
    }
  }

  const DasProblem& p_;
  const DasRecord& record_;
  Work work_;
  const std::int64_t capacity_;
  std::int64_t row_, column_, n_rows_, n_columns_, n_tx_, n_sums_;
  int blocks_, columns_, groups_, slots_ = 0;
  std::int32_t tx_low_ = 0, tx_high_ = 0;
};

}  // namespace
}  // namespace SONORAY_LEVEL
}  // namespace sonoray
