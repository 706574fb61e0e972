// The schedule of adaptive beamformers over points: the tiles, delays and stages of delay-and-sum, but the signals of a
// group of points are kept apart until their method makes them a value, W points at once.
#include "beamforming/adaptive_levels.h"
#include "beamforming/adaptive_work.h"
#include "beamforming/das_tile.h"

namespace sonoray {
namespace SONORAY_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int adaptive_lanes = 16;
#else
constexpr int adaptive_lanes = 8;
#endif

using aperture::Aperture;
using aperture::Column;
using aperture::Complex;

/// All methods in one function, which the many kinds of tiles share: their code is long.
template <class F>
__attribute__((noinline)) Complex<F> adapt(const AdaptiveMethod& method, Aperture<F>& a, Column<F> columns) {
  return adaptive_kernel::adapt(method, a, columns);
}

template <int W, bool IQ, int TAPS>
class AdaptiveTile : Tile<W, IQ, TAPS, true> {
  using Base = Tile<W, IQ, TAPS, true>;
  using F = simd::Float<W>;
  using Base::capacity_;
  using Base::groups_;
  using Base::n_tx_;
  using Base::p_;
  using Base::parts;
  using Base::record_;
  using Base::stride_g_;
  using Base::weighted_;
  using Base::whole_;
  using Base::work_;

 public:
  /// `box` is the problem without the window, `p` the problem; the tile holds all transmits and elements at once.
  AdaptiveTile(const DasProblem& box, const DasProblem& p, const AdaptiveMethod& method, const DasTiles& tiles,
               const DasRecord& record, std::int64_t tile, float* scratch)
      : Base(box, tiles, record, tile, scratch),
        window_(p),
        method_(method),
        own_(scratch + work_.floats, p, method, tiles, IQ),
        transmit_(method.over == AdaptiveOver::transmit),
        temporal_(adaptive_kernel::temporal_samples(method)),
        channels_(transmit_ ? tiles.transmits : tiles.elements) {
    std::memset(own_.zeros, 0, W * sizeof(float));
    for (int i = 0; i < n_tx_; ++i) {
      this->prepare_transmit(i, i);
      if (work_.tx_high[i] < work_.tx_low[i]) continue;
      work_.tx_low[i] -= temporal_ / 2;
      work_.tx_high[i] += temporal_ / 2;
    }
    this->receive_block(0);
    this->place_entries(static_cast<int>(n_tx_));
    transmit_ ? mask_transmits() : mask_elements();
  }

  void run(float* image) {
    for (std::int64_t frame = 0; frame < record_.n_frames; ++frame) {
      std::memset(own_.total, 0, groups_ * 2 * W * sizeof(float));
      if (transmit_) {
        over_transmits(frame, image);
      } else {
        over_elements(frame, image);
      }
    }
  }

 private:
  float* signal(int g, int d, std::int64_t k) const {
    return own_.signal + (((static_cast<std::int64_t>(g) * temporal_ + d) * channels_ + k) * parts) * W;
  }

  /// Which elements each point sees, and how strongly the window lets them count.
  void mask_elements() {
    for (int g = 0; g < groups_; ++g) {
      for (int k = 0; k < work_.count[g]; ++k) {
        const std::int64_t at = (g * channels_ + k) * W, entry = (g * capacity_ + k) * W;
        F seen = F() + 1.0f;
        if (weighted_) {
          const F re = load<F>(work_.real + entry), im = IQ ? load<F>(work_.imaginary + entry) : F() + 0.0f;
          seen = re * re + im * im > 0.25f ? seen : F() + 0.0f;
        }
        store(own_.mask + at, seen);
        if (!own_.weight) continue;
        const std::int64_t e = work_.element[work_.slot[k * stride_g_ + g]];
        const auto path = das_kernel::receive_path(window_, 0, e, load<F>(work_.x + g * W), load<F>(work_.y + g * W),
                                                   load<F>(work_.z + g * W));
        store(own_.weight + at, path.weight);
      }
    }
  }

  void mask_transmits() {
    for (int g = 0; g < groups_; ++g) {
      for (int i = 0; i < n_tx_; ++i) {
        const std::int64_t k = i * groups_ + g;
        F seen = F() + 0.0f;
        if (work_.tx_on[k]) {
          const F re = load<F>(work_.tx_real + k * W), im = IQ ? load<F>(work_.tx_imaginary + k * W) : F() + 0.0f;
          seen = (re != 0.0f) | (im != 0.0f) ? F() + 1.0f : seen;
        }
        store(own_.mask + (g * channels_ + i) * W, seen);
      }
    }
  }

  /// Adds transmit i to the elements' signals of every sample, or starts them with it; the receive phase is missing.
  template <bool START>
  SONORAY_INLINE void add_signals(int i, int g) {
    const std::int64_t k = i * groups_ + g;
    const F c = load<F>(work_.tx_real + k * W), s = IQ ? load<F>(work_.tx_imaginary + k * W) : F();
    each_sample(k, [&](int d) {
      float* to = signal(g, d, 0);
      const auto take = [&](std::int64_t entry, F a, F b) {
        float* at = to + entry * parts * W;
        const F re = IQ ? a * c - b * s : a * c, im = a * s + b * c;
        store(at, START ? re : load<F>(at) + re);
        if (IQ) store(at + W, START ? im : load<F>(at + W) + im);
      };
      if (whole_ && work_.tx_top[k] + work_.group_top[g] < 2 * W) {
        this->each_near(i, g, take);
      } else {
        this->each_spread(i, g, take);
      }
    });
  }

  /// Calls each(d) with the transmit's time moved to each sample.
  template <class Each>
  SONORAY_INLINE void each_sample(std::int64_t k, const Each& each) {
    const std::int32_t own = work_.tx_base[k];
    for (int d = 0; d < temporal_; ++d) {
      work_.tx_base[k] = own + d - temporal_ / 2;
      each(d);
    }
    work_.tx_base[k] = own;
  }

  void over_elements(std::int64_t frame, float* image) {
    const bool each = method_.over == AdaptiveOver::each;
    for (int g = 0; g < groups_; ++g) own_.started[g] = 0.0f;
    for (int i = 0; i < n_tx_; ++i) {
      if (work_.tx_high[i] >= work_.tx_low[i]) this->stage(frame, i, i);
      for (int g = 0; g < groups_; ++g) {
        if (work_.tx_on[i * groups_ + g]) {
          if (own_.started[g] == 0.0f) {
            add_signals<true>(i, g);
          } else {
            add_signals<false>(i, g);
          }
          own_.started[g] = each ? 0.0f : 1.0f;
        }
        // While the group's signals are still in the first cache.
        const bool any = own_.started[g] != 0.0f || (each && work_.tx_on[i * groups_ + g]);
        if (each || i + 1 == n_tx_) finish(g, frame, i, any, image);
      }
    }
    for (int g = 0; g < groups_ && p_.compounding != Compounding::none; ++g) write(g, frame, image);
  }

  void over_transmits(std::int64_t frame, float* image) {
    std::memset(own_.signal, 0, groups_ * temporal_ * channels_ * parts * W * sizeof(float));
    for (int i = 0; i < n_tx_; ++i) {
      if (work_.tx_high[i] < work_.tx_low[i]) continue;
      this->stage(frame, i, i);
      for (int g = 0; g < groups_; ++g) {
        const std::int64_t k = i * groups_ + g;
        if (work_.tx_on[k]) each_sample(k, [&](int d) { this->add_group(i, g, signal(g, d, i)); });
      }
    }
    for (int g = 0; g < groups_; ++g) {
      finish(g, frame, 0, true, image);
      write(g, frame, image);
    }
  }

  /// Makes a group's signals a value, which goes to the sum over transmits, or into the image of transmit i.
  void finish(int g, std::int64_t frame, int i, bool any, float* image) {
    const int n = !any ? 0 : transmit_ ? static_cast<int>(n_tx_) : work_.count[g];
    if (!transmit_) turn(g, n);
    Aperture<F> a{};
    a.n = n;
    a.temporal = temporal_;
    a.slab = channels_;
    a.re = {signal(g, 0, 0), parts * W};
    a.im = IQ ? Column<F>{signal(g, 0, 0) + W, parts * W} : Column<F>{own_.zeros, 0};
    a.mask = {own_.mask + g * channels_ * W, W};
    if (own_.weight) a.weight = {own_.weight + g * channels_ * W, W};
    const Complex<F> value = adapt<F>(method_, a, Column<F>{own_.columns, W});
    float* to = own_.total + g * 2 * W;
    if (p_.compounding == Compounding::incoherent) {
      const F magnitude = simd::root(value.re * value.re + value.im * value.im);
      store(to, load<F>(to) + magnitude);
    } else if (p_.compounding == Compounding::none) {
      store(to, value.re);
      store(to + W, value.im);
      write(g, frame * n_tx_ + i, image);
    } else {
      store(to, load<F>(to) + value.re);
      store(to + W, load<F>(to + W) + value.im);
    }
  }

  /// Times the receive phases, or zero where masked.
  void turn(int g, int n) const {
    if (!weighted_ && !IQ) return;
    for (int d = 0; d < temporal_; ++d) {
      for (int k = 0; k < n; ++k) {
        const std::int64_t entry = (g * capacity_ + k) * W;
        float* at = signal(g, d, k);
        const F c = load<F>(work_.real + entry);
        if (IQ) {
          const F s = load<F>(work_.imaginary + entry), a = load<F>(at), b = load<F>(at + W);
          store(at, a * c - b * s);
          store(at + W, a * s + b * c);
        } else {
          store(at, load<F>(at) * c);
        }
      }
    }
  }

  void write(int g, std::int64_t of, float* image) const {
    const std::int64_t n = this->n_rows_ * this->n_columns_;
    const bool real =
        !IQ || p_.compounding == Compounding::incoherent || method_.kind == AdaptiveKind::short_lag_coherence;
    const float* from = own_.total + g * 2 * W;
    for (int l = 0; l < W && this->row_ + g / this->columns_ * W + l < this->n_rows_; ++l) {
      const std::int64_t at = of * n + this->point(g, l);
      if (real) {
        image[at] = from[l];
      } else {
        image[2 * at] = from[l];
        image[2 * at + 1] = from[W + l];
      }
    }
  }

  const DasProblem& window_;
  const AdaptiveMethod& method_;
  AdaptiveWork own_;
  const bool transmit_;
  const int temporal_;
  const std::int64_t channels_;
};

struct Call {
  const DasProblem& p;
  const AdaptiveMethod& method;
  const DasTiles& tiles;
  const DasRecord& record;
  std::int64_t tile;
  float *image, *scratch;
};

template <int W, bool IQ, int TAPS>
void run(const Call& c) {
  // Over transmits the window weighs the sum over elements; else the signals come unweighted.
  const DasProblem box = c.method.over == AdaptiveOver::transmit ? c.p : das_kernel::without_window(c.p);
  AdaptiveTile<W, IQ, TAPS> tile(box, c.p, c.method, c.tiles, c.record, c.tile, c.scratch);
  tile.run(c.image);
}

template <int W, bool IQ>
void pick_taps(const Call& c) {
  if (c.p.cubic) {
    run<W, IQ, 4>(c);
  } else {
    run<W, IQ, 2>(c);
  }
}

template <int W>
void pick(const Call& c) {
  if (c.record.type == DasSample::int16_pair || c.record.type == DasSample::complex64) {
    pick_taps<W, true>(c);
  } else {
    pick_taps<W, false>(c);
  }
}

}  // namespace

void adaptive_tile(const DasProblem& p, const AdaptiveMethod& method, const DasTiles& tiles, const DasRecord& record,
                   std::int64_t tile, float* image, float* scratch) {
  pick<adaptive_lanes>({p, method, tiles, record, tile, image, scratch});
}

}  // namespace SONORAY_LEVEL
}  // namespace sonoray
