#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/guard.cuh"
#include "core/scratch.cuh"
#include "rays/linking.h"
#include "rays/linking_plan.h"
#include "rays/linking_trace.h"

// One thread per ray of the fans, then one per pair, which follows all of its starts to the end. The host lays out the
// fans and chooses among the rays found; there is no second, denser fan, the first one is dense from the beginning.

namespace sonoray {

using namespace linking;

namespace {

constexpr int block = 64;
constexpr double rays_per_receiver = 2.0, cells[2] = {2.0, 12.0}, beyond[2] = {0.25, 0.15};

template <int D>
struct Emission {
  double at[D];
  Fan<D> fan;
  double farthest;
  int first_ray;
};

template <int D>
struct Pair {
  Seen<D> seen;
  std::int32_t emission;
  bool known;
  double y[D - 1], arrival[D];  ///< of a known start
};

template <int D>
struct Answer {
  Found<D> found[max_candidates];
  std::int32_t n, traces;
  bool sure;
};

template <int D>
struct Work {
  Space<D> space;
  int every;
  Emission<D>* emissions;
  const std::int32_t* owner;  ///< of each ray
  std::int64_t n_rays, n_pairs;
  const Pair<D>* pairs;
  Answer<D>* answers;
  int* reach;  ///< of each emission, the bits of a float
  double tolerance;
  int max_traces;
  bool all;
};

template <int D>
__device__ double index_at(const Work<D>& work, const double* x) {
  tracing::Sample<D, double> s;
  tracing::sample_index<0, D, double>(work.space.medium, x, s);
  return s.value;
}

template <int D>
__global__ void __launch_bounds__(block) fan_kernel(Work<D> work) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block + threadIdx.x;
  if (i >= work.n_rays) return;
  const int e = work.owner[i];
  const Emission<D>& from = work.emissions[e];
  const int ray = int(i - from.first_ray);
  FanTask<D> task{&work.space,
                  from.fan,
                  {},
                  index_at<D>(work, from.at),
                  ray,
                  1,
                  from.farthest,
                  work.every,
                  const_cast<Sample<D>*>(from.fan.samples),
                  const_cast<Exit<D>*>(from.fan.exits)};
  for (int d = 0; d < D; ++d) task.emitter[d] = from.at[d];
  trace_fan<D, double>(task, ray);
  const Exit<D>& exit = from.fan.exits[ray];
  float most = 0;
  for (int k = 0; k < exit.samples; ++k)
    for (int j = 0; j < D - 1; ++j)
      most = fmaxf(most, fabsf(from.fan.samples[std::int64_t(ray) * from.fan.most_samples + k].deflection[j]));
  if (exit.goes_on) {
    double y[D - 1], u[D - 1];
    from.fan.chart.coordinates(exit.t, y);
    Chart<D>::difference(y, exit.y0, u);
    for (int j = 0; j < D - 1; ++j) most = fmaxf(most, float(fabs(u[j])));
  }
  atomicMax(&work.reach[e], __float_as_int(most));  // not negative: the bits are in order
}

template <int D>
__device__ void follow(const Work<D>& work, const Emission<D>& from, double index, Search<D>& s, Answer<D>& answer) {
  const std::int32_t zero = 0;
  Landing<D> landing;
  TrialTask<D> task{&work.space, {}, index, &s, &zero, 1, &landing};
  for (int d = 0; d < D; ++d) task.emitter[d] = from.at[d];
  while (s.state == State::searching) {
    trace_trials<D, double>(task, 0);
    advance(s, Solver::newton, from.fan.chart, landing, work.tolerance, work.max_traces);
    ++answer.traces;
  }
  if (s.state == State::found && answer.n < max_candidates) answer.found[answer.n++] = outcome(s, landing);
}

template <int D>
__global__ void __launch_bounds__(block) pair_kernel(Work<D> work) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block + threadIdx.x;
  if (i >= work.n_pairs) return;
  const Pair<D>& pair = work.pairs[i];
  const Emission<D>& from = work.emissions[pair.emission];
  Answer<D>& answer = work.answers[i];
  const double index = index_at<D>(work, from.at);
  answer.n = answer.traces = 0;
  answer.sure = true;
  Search<D> s;
  if (pair.known) {
    begin<D>(s, from.fan.chart, pair.seen.target, pair.seen.rho, pair.y, pair.arrival);
    follow<D>(work, from, index, s, answer);
    if (answer.n > 0) return;
  }
  if (!from.fan.samples) return;  // the host comes again with fans
  Fan<D> fan = from.fan;
  fan.reach = __int_as_float(work.reach[pair.emission]);
  Candidate<D> list[max_candidates];
  const int n = locate(fan, pair.seen.y, pair.seen.rho, list, &answer.sure);
  for (int k = 0; k < n; ++k) {
    begin<D>(s, fan.chart, pair.seen.target, pair.seen.rho, list[k].y, list[k].arrival);
    s.low = list[k].low;
    s.high = list[k].high;
    s.f_low = list[k].sign_low;
    follow<D>(work, from, index, s, answer);
  }
}

template <class T>
void to_device(T* to, const std::vector<T>& from, cudaStream_t stream) {  // pageable memory is staged before it returns
  if (from.empty()) return;
  check(cudaMemcpyAsync(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
}

template <class T>
void to_host(std::vector<T>& to, const T* from, cudaStream_t stream) {
  if (to.empty()) return;
  check(cudaMemcpyAsync(to.data(), from, to.size() * sizeof(T), cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
}

inline unsigned blocks_for(std::int64_t n) { return unsigned((n + block - 1) / block); }

/// Traces fans for the emissions that have pairs without a known start (or for all with `fans`), then all pairs.
template <int D>
void solve(const Cuda& exec, const LinkParams<D>& params, const Space<D>& space, std::vector<Emission<D>>& emissions,
           std::vector<std::vector<double>>& take_offs, const std::vector<Pair<D>>& pairs,
           std::vector<Answer<D>>& answers, std::int64_t* fan_traces) {
  const cudaStream_t stream = stream_of(exec);
  std::vector<Exit<D>> exits;
  std::vector<double> sorted;
  std::vector<std::int32_t> owner, ray;
  std::int64_t n_samples = 0;
  for (std::size_t e = 0; e < emissions.size(); ++e) {
    emissions[e].first_ray = int(exits.size());
    const int rays = int(take_offs[e].size() / (D - 1));
    for (int k = 0; k < rays; ++k) {
      Exit<D> exit{};
      for (int j = 0; j < D - 1; ++j) exit.y0[j] = take_offs[e][k * (D - 1) + j];
      exits.push_back(exit);
      sorted.push_back(exit.y0[0]);
      owner.push_back(std::int32_t(e));
      ray.push_back(k);
    }
    n_samples += std::int64_t(rays) * emissions[e].fan.most_samples;
  }
  *fan_traces += std::int64_t(exits.size());
  Scratch<Exit<D>> device_exits(exec, std::int64_t(exits.size()));
  Scratch<double> device_sorted(exec, std::int64_t(sorted.size()));
  Scratch<std::int32_t> device_owner(exec, std::int64_t(owner.size())), device_ray(exec, std::int64_t(ray.size()));
  Scratch<Sample<D>> samples(exec, n_samples);
  Scratch<int> reach(exec, std::int64_t(emissions.size()));
  Scratch<Emission<D>> device_emissions(exec, std::int64_t(emissions.size()));
  Scratch<Pair<D>> device_pairs(exec, std::int64_t(pairs.size()));
  Scratch<Answer<D>> device_answers(exec, std::int64_t(pairs.size()));
  std::int64_t at = 0;
  for (auto& one : emissions) {
    const bool fan = one.first_ray < int(exits.size()) && one.fan.n[0] > 0;
    one.fan.samples = fan ? samples.data() + at : nullptr;
    one.fan.exits = fan ? device_exits.data() + one.first_ray : nullptr;
    one.fan.take_offs = fan ? device_sorted.data() + one.first_ray : nullptr;
    one.fan.ray = fan ? device_ray.data() + one.first_ray : nullptr;
    if (fan) at += std::int64_t(one.fan.rays()) * one.fan.most_samples;
  }
  to_device(device_exits.data(), exits, stream);
  to_device(device_sorted.data(), sorted, stream);
  to_device(device_owner.data(), owner, stream);
  to_device(device_ray.data(), ray, stream);
  to_device(device_emissions.data(), emissions, stream);
  to_device(device_pairs.data(), pairs, stream);
  check(cudaMemsetAsync(reach.data(), 0, emissions.size() * sizeof(int), stream), "cudaMemsetAsync");
  Work<D> work{space,
               look_interval(params),
               device_emissions.data(),
               device_owner.data(),
               std::int64_t(exits.size()),
               std::int64_t(pairs.size()),
               device_pairs.data(),
               device_answers.data(),
               reach.data(),
               params.tolerance,
               params.max_traces,
               params.all};
  if (work.n_rays > 0) fan_kernel<D><<<blocks_for(work.n_rays), block, 0, stream>>>(work);
  pair_kernel<D><<<blocks_for(work.n_pairs), block, 0, stream>>>(work);
  check(cudaGetLastError(), "kernel launch");
  to_host(answers, device_answers.data(), stream);
}

/// The fan of one emitter, for the given receivers: its layout and its rays' take-offs.
template <int D>
Fan<D> lay_out(const LinkParams<D>& params, const Chart<D>& chart, const std::vector<Seen<D>>& seen,
               std::vector<double>& take_offs) {
  std::vector<int> which(seen.size());
  for (std::size_t k = 0; k < seen.size(); ++k) which[k] = int(k);
  Fan<D> fan =
      make_fan(params, chart, seen, which, beyond[D - 2], rays_per_receiver * double(seen.size()), cells[D - 2]);
  for (int k = 0; k < fan.rays(); ++k) {
    double y[D - 1];
    fan.take_off(k, y);
    for (double one : y) take_offs.push_back(one);
  }
  return fan;
}

template <int D>
LinkReport link_on_device(const Cuda& exec, const LinkParams<D>& params, View<const double, 2> tx,
                          View<const double, 2> rx, View<double, 3> rays, View<std::int32_t, 3> marks,
                          std::vector<LaterRay<D>>& later) {
  check<D>(params, tx, rx, rays.shape[0], rays.shape[1]);
  check<D>(params, tx, rx, marks.shape[0], marks.shape[1]);
  require(rays.shape[2] == ray_fields<D> && marks.shape[2] == mark_fields, "rays, marks: expected the fields in order");
  require(params.solver == Solver::newton, "solver: expected newton on a CUDA device");
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  LinkReport report;
  if (marks.size() == 0) return report;
  std::vector<double> fields(rays.size());
  std::vector<std::int32_t> status(marks.size());
  to_host(fields, rays.data, stream);
  to_host(status, marks.data, stream);
  const Space<D> space = make_space<D>(params, tx, rx);
  const std::int64_t n_rx = rx.shape[0];
  for (const bool with_fans : {false, true}) {
    std::vector<Emission<D>> emissions;
    std::vector<std::vector<double>> take_offs;
    std::vector<Pair<D>> pairs;
    for (std::int64_t e = 0; e < tx.shape[0]; ++e) {
      std::int32_t* const m = status.data() + e * n_rx * mark_fields;
      std::vector<Seen<D>> wanted;
      for (auto& one : look<D>(tx.data + e * D, rx, params.tolerance, m)) {
        const bool known = m[one.rx * mark_fields] == int(PairStatus::linked) && m[one.rx * mark_fields + 1] == 0;
        const bool done = m[one.rx * mark_fields] == int(PairStatus::linked) && !known;
        if (!done && known != with_fans) wanted.push_back(one);
      }
      if (wanted.empty()) continue;
      Chart<D> chart;
      place(wanted, chart);
      Emission<D> from{};
      take_offs.emplace_back();
      if (with_fans) from.fan = lay_out(params, chart, wanted, take_offs.back());
      from.fan.chart = chart;
      for (int d = 0; d < D; ++d) from.at[d] = tx(e, d);
      for (const auto& one : wanted) {
        Pair<D> pair{one, std::int32_t(emissions.size()), !with_fans, {}, {}};
        const double* f = fields.data() + (e * n_rx + one.rx) * ray_fields<D>;
        if (!with_fans) chart.coordinates(f + 2, pair.y);
        for (int d = 0; d < D; ++d) pair.arrival[d] = f[2 + D + d];
        pairs.push_back(pair);
        from.farthest = std::max(from.farthest, one.rho);
      }
      from.first_ray = int(e);
      emissions.push_back(from);
    }
    if (pairs.empty()) continue;
    std::vector<std::int32_t> emitter;
    for (const auto& one : emissions) emitter.push_back(one.first_ray);
    std::vector<Answer<D>> answers(pairs.size());
    solve(exec, params, space, emissions, take_offs, pairs, answers, &report.fan_traces);
    for (std::size_t k = 0; k < pairs.size(); ++k) {
      const std::int32_t e = emitter[pairs[k].emission], r = pairs[k].seen.rx;
      std::int32_t* const m = status.data() + (e * n_rx + r) * mark_fields;
      const Answer<D>& answer = answers[k];
      m[1] += answer.traces;
      std::vector<Found<D>> list(answer.found, answer.found + answer.n);
      if (!with_fans && list.empty()) {
        m[0] = int(PairStatus::unknown);
        continue;
      }
      choose<D>(list, answer.sure, params.all, params.tolerance, e, r, m,
                fields.data() + (e * n_rx + r) * ray_fields<D>, later);
    }
  }
  std::stable_sort(later.begin(), later.end(),
                   [](const auto& a, const auto& b) { return a.tx != b.tx ? a.tx < b.tx : a.rx < b.rx; });
  to_device(rays.data, fields, stream);
  to_device(marks.data, status, stream);
  return report;
}

template <int D>
struct PathWork {
  Space<D> space;
  std::int64_t n_pairs, n_rx;
  const double* tx;
  const double* rx;
  const double* rays;
  const std::int32_t* marks;
  const std::int64_t* offsets;
  int stride;
  double* points;
};

template <int D>
__global__ void __launch_bounds__(block) path_kernel(PathWork<D> work) {
  const std::int64_t i = std::int64_t(blockIdx.x) * block + threadIdx.x;
  if (i >= work.n_pairs || work.offsets[i] == work.offsets[i + 1]) return;
  const double* const emitter = work.tx + i / work.n_rx * D;
  tracing::Sample<D, double> s;
  tracing::sample_index<0, D, double>(work.space.medium, emitter, s);
  PathTask<D> task{&work.space,
                   {},
                   s.value,
                   1,
                   work.rays + i * ray_fields<D> + 2,
                   work.rx + i % work.n_rx * D,
                   work.marks + i * mark_fields + 3,
                   work.offsets + i,
                   work.stride,
                   work.points};
  for (int d = 0; d < D; ++d) task.emitter[d] = emitter[d];
  trace_paths<D, double>(task, 0);
}

template <int D>
void paths_on_device(const Cuda& exec, const LinkParams<D>& params, View<const double, 2> tx, View<const double, 2> rx,
                     View<const double, 3> rays, View<const std::int32_t, 3> marks, int stride,
                     View<const std::int64_t, 1> offsets, View<double, 2> points) {
  check<D>(params, tx, rx, rays.shape[0], rays.shape[1]);
  check<D>(params, tx, rx, marks.shape[0], marks.shape[1]);
  require(rays.shape[2] == ray_fields<D> && marks.shape[2] == mark_fields, "rays, marks: expected the fields in order");
  const std::int64_t pairs = tx.shape[0] * rx.shape[0];
  require(stride >= 1 && offsets.shape[0] == pairs + 1 && points.shape[1] == D,
          "offsets: expected one more than pairs");
  if (pairs == 0 || points.shape[0] == 0) return;
  const DeviceGuard guard(exec.device);
  const cudaStream_t stream = stream_of(exec);
  std::vector<std::int64_t> first(offsets.size());
  std::vector<std::int32_t> status(marks.size());
  to_host(first, offsets.data, stream);
  to_host(status, marks.data, stream);
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int32_t* m = status.data() + i * mark_fields;
    const std::int64_t nodes = first[i + 1] - first[i];
    require(first[i] >= 0 && first[i + 1] <= points.shape[0] &&
                (nodes == 0 || (m[0] == int(PairStatus::linked) && m[3] >= 0 && nodes == path_nodes(m[3], stride))),
            "offsets: expected the number of nodes that each pair's steps need");
  }
  Scratch<double> device_tx(exec, tx.size()), device_rx(exec, rx.size());
  to_device(device_tx.data(), std::vector<double>(tx.data, tx.data + tx.size()), stream);
  to_device(device_rx.data(), std::vector<double>(rx.data, rx.data + rx.size()), stream);
  PathWork<D> work{make_space<D>(params, tx, rx),
                   pairs,
                   rx.shape[0],
                   device_tx.data(),
                   device_rx.data(),
                   rays.data,
                   marks.data,
                   offsets.data,
                   stride,
                   points.data};
  path_kernel<D><<<blocks_for(pairs), block, 0, stream>>>(work);
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace

#define SONORAY_ON_DEVICE(D)                                                                                        \
  template <>                                                                                                       \
  LinkReport link<D, Cuda>(const Cuda& exec, const LinkParams<D>& params, View<const double, 2> tx,                 \
                           View<const double, 2> rx, View<double, 3> rays, View<std::int32_t, 3> marks,             \
                           std::vector<LaterRay<D>>& later) {                                                       \
    return link_on_device<D>(exec, params, tx, rx, rays, marks, later);                                             \
  }                                                                                                                 \
  template <>                                                                                                       \
  void link_paths<D, Cuda>(const Cuda& exec, const LinkParams<D>& params, View<const double, 2> tx,                 \
                           View<const double, 2> rx, View<const double, 3> rays, View<const std::int32_t, 3> marks, \
                           int stride, View<const std::int64_t, 1> offsets, View<double, 2> points) {               \
    paths_on_device<D>(exec, params, tx, rx, rays, marks, stride, offsets, points);                                 \
  }
SONORAY_ON_DEVICE(2)
SONORAY_ON_DEVICE(3)
#undef SONORAY_ON_DEVICE

}  // namespace sonoray
