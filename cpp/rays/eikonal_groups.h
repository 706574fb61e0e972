#pragma once
// Groups of sources on the host: what they share, the scratch that a thread works in, and how a group is solved.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "core/for_each.h"
#include "core/view.h"
#include "rays/eikonal.h"
#include "rays/eikonal_sweep.h"

namespace sonoray::eikonal {

/// Memory for vectors; large fields come untouched from the system.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::int64_t n) : data_(static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64))) {
    if (!data_) throw std::bad_alloc();
  }
  ~Aligned() { std::free(data_); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  T* data() const { return data_; }

 private:
  T* data_;
};

/// Lanes of so many vectors at the processor level in use.
int lanes_of_level(int vectors);

/// Vectors per group of n sources.
inline int vectors_for(std::int64_t n) { return n > lanes_of_level(1) ? 2 : 1; }

/// What all groups share: the padded medium, scaled, and the layout of fields and tiles.
struct Setup {
  Setup(const EikonalGrid& grid, const EikonalParams& params, View<const float, 1> slowness);

  std::int64_t node(const std::int64_t* index) const {
    std::int64_t k = 0;
    for (int i = 0; i < sweep.ndim; ++i) k += (index[i] + halo) * sweep.stride[i];
    return k;
  }

  /// The same for a node of the grid counted in memory.
  std::int64_t padded(std::int64_t at) const {
    std::int64_t k = 0;
    for (int i = sweep.ndim - 1; i >= 0; at /= sweep.n[i--]) k += (at % sweep.n[i] + halo) * sweep.stride[i];
    return k;
  }

  const EikonalGrid& grid;
  View<const float, 1> slowness;
  double length, unit;  ///< [m] and [s/m] that the scaled problem counts in
  SweepGrid sweep{};
  std::int64_t nodes = 1, tiles = 1;
  std::vector<float> squared;
};

/// Scratch of one thread: the field of one group and the state of its tiles.
struct Worker {
  Worker(const Setup& setup, int lane_count)
      : field(setup.nodes * lane_count), tiles(new std::uint8_t[3 * setup.tiles]) {
    lanes.v = field.data();
    lanes.sides = tiles.get();
    lanes.pending = tiles.get() + setup.tiles;
    lanes.fresh = tiles.get() + 2 * setup.tiles;
  }
  Aligned<float> field;
  std::unique_ptr<std::uint8_t[]> tiles;
  Lanes lanes{};
};

/// The nodes around a source whose rays are taken as straight, and the source in cells.
struct Start {
  Start(const EikonalGrid&, View<const double, 2> sources, std::int64_t k);

  /// f(node's indices) for each of them.
  template <class F>
  void for_each_node(const F& f) const {
    std::int64_t at[3];
    for (at[0] = low[0]; at[0] <= high[0]; ++at[0])
      for (at[1] = low[1]; at[1] <= high[1]; ++at[1])
        for (at[2] = low[2]; at[2] <= high[2]; ++at[2]) f(static_cast<const std::int64_t*>(at));
  }

  double source[3] = {};
  std::int64_t low[3] = {}, high[3] = {};
};

/// Puts a source into its lane: where it is, and the given nodes.
void start_point(const Setup&, const Start&, int lane, int lane_count, Lanes&);

/// One group of at most `lane_count` point sources; surplus lanes repeat the last one.
void solve_points(const Setup&, const EikonalParams&, View<const double, 2> sources, std::int64_t first, int count,
                  int vectors, int lane_count, Worker&);

/// f(worker, first, count, vectors, lanes) for groups of `n` sources, spread over threads.
template <class W = Worker, class F>
void for_each_group(const Cpu& exec, const Setup& setup, std::int64_t n, const F& f) {
  const int vectors = vectors_for(n);
  const int lane_count = lanes_of_level(vectors);
  const std::int64_t groups = (n + lane_count - 1) / lane_count;
  std::atomic<std::int64_t> next{0};
  for_each(exec, std::min<std::int64_t>(groups, thread_count(exec)), [&](std::int64_t) {
    std::unique_ptr<W> worker;
    for (std::int64_t group; (group = next++) < groups;) {
      if (!worker) worker = std::make_unique<W>(setup, lane_count);
      const std::int64_t first = group * lane_count;
      f(*worker, first, static_cast<int>(std::min<std::int64_t>(lane_count, n - first)), vectors, lane_count);
    }
  });
}

}  // namespace sonoray::eikonal
