// The host's schedule: threads take emitters; per emitter a fan, then rounds in which the trial rays of all searches
// that still go on are traced together, so that lanes stay full.
#include "rays/linking.h"

#include <memory>
#include <mutex>

#include "core/dispatch.h"
#include "core/for_each.h"
#include "rays/linking_plan.h"
#include "rays/linking_trace.h"

namespace sonoray {

using namespace linking;

namespace {

/// How a fan is laid out for n receivers: rays per receiver, and how far apart they may be in cells of the grid.
struct Density {
  double rays, cells;
};
constexpr Density usual[2] = {{1.0, 8.0}, {1.0, 24.0}}, thorough[2] = {{2.0, 2.0}, {4.0, 8.0}};  // 2-D, 3-D

/// Traces per start from a fan; a start that needs more is a poor one, and a denser fan has better ones.
constexpr int few_traces = 6;
constexpr int rounds = 3;  ///< in which a fan is made denser
constexpr int parts = 4;   ///< into which a gap of a 2-D fan is divided then

/// Two rays whose acoustic lengths differ by less [m] are both followed to find out which arrives first.
constexpr double tie = 5e-6;

template <int D>
struct Emitter {
  const LinkParams<D>& params;
  const Space<D>& space;
  /// Where a search begins.
  struct Start {
    Search<D> search;
    int owner;
    double length;         ///< acoustic, about [m]
    double from, to;       ///< 2-D: neighbours of the fan around it
    double error = 1e300;  ///< of the length, at most
  };

  double at[D], index;
  Chart<D> chart;
  std::vector<Seen<D>> seen;
  double* rays;         ///< of this emitter
  std::int32_t* marks;  ///< of this emitter
  std::vector<std::vector<Found<D>>> found;
  std::vector<bool> sure;  ///< rays of the fan pass on both sides
  std::int64_t fan_traces = 0;

  // The fan
  std::vector<Sample<D>> samples;
  std::vector<Exit<D>> exits;
  std::vector<double> take_offs;
  std::vector<std::int32_t> order;

  Emitter(const LinkParams<D>& p, const Space<D>& s) : params(p), space(s) {}

  double* ray(std::int32_t rx) { return rays + std::int64_t(rx) * ray_fields<D>; }
  std::int32_t* mark(std::int32_t rx) { return marks + std::int64_t(rx) * mark_fields; }

  void look(const double* tx, View<const double, 2> rx) {
    tracing::Sample<D, double> s;
    for (int d = 0; d < D; ++d) at[d] = tx[d];
    tracing::sample_index<0, D, double>(params.medium, at, s);
    index = s.value;
    seen = linking::look<D>(at, rx, params.tolerance, marks);
    place(seen, chart);
    found.resize(seen.size());
    sure.assign(seen.size(), true);
  }

  /// Traces the rays of a fan whose exits hold take-offs, from the given one on.
  void trace(Fan<D>& fan, int first, double farthest) {
    const int n = int(exits.size()) - first;
    samples.resize(exits.size() * fan.most_samples);
    FanTask<D> task{&space, fan, {}, index, first, n, farthest, look_interval(params), samples.data(), exits.data()};
    for (int d = 0; d < D; ++d) task.emitter[d] = at[d];
    SONORAY_DISPATCH(link_fan, task);
    fan_traces += n;
    fan.samples = samples.data();
    fan.exits = exits.data();
  }

  double farthest_of(const std::vector<int>& which) const {
    double most = 0;
    for (int i : which) most = std::max(most, seen[i].rho);
    return most;
  }

  /// Puts the rays of a 2-D fan in order.
  void sort(Fan<2>& fan) {
    order.resize(exits.size());
    for (std::size_t k = 0; k < order.size(); ++k) order[k] = std::int32_t(k);
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return exits[a].y0[0] < exits[b].y0[0]; });
    take_offs.clear();
    fan.pitch[0] = 0;
    for (auto k : order) {
      take_offs.push_back(exits[k].y0[0]);
      if (take_offs.size() > 1)
        fan.pitch[0] = std::max(fan.pitch[0], take_offs.back() - take_offs[take_offs.size() - 2]);
    }
    if (fan.closed) fan.pitch[0] = std::max(fan.pitch[0], take_offs.front() + 2 * pi - take_offs.back());
    fan.n[0] = int(order.size());
    fan.take_offs = take_offs.data();
    fan.ray = order.data();
  }

  /// Traces a fan over the given receivers; in 2-D wider until it covers them.
  Fan<D> spread(const std::vector<int>& which, const Density& density, double beyond = D == 2 ? 0.03 : 0.1) {
    const double farthest = farthest_of(which);
    for (;;) {
      Fan<D> fan = make_fan(params, chart, seen, which, beyond, density.rays * double(which.size()), density.cells);
      exits.assign(fan.rays(), Exit<D>{});
      for (int ray = 0; ray < fan.rays(); ++ray) fan.take_off(ray, exits[ray].y0);
      trace(fan, 0, farthest);
      if constexpr (D == 2) {
        sort(fan);
        if (!covers(fan, seen, which)) {
          fan.reach = reach_of(fan);
          beyond = std::max(3 * beyond, 1.2 * std::min(fan.reach, 1.0));
          continue;
        }
      }
      fan.reach = reach_of(fan);
      return fan;
    }
  }

  /// Divides the gaps of a 2-D fan in which starts were poor.
  void divide(Fan<2>& fan, const std::vector<Start>& poor, double farthest) {
    std::vector<bool> chosen(fan.n[0] + 1, false);
    const double turn = 2 * pi, start = take_offs[0];
    for (const Start& one : poor) {
      const double shift = fan.closed ? turn * std::floor((one.from - start) / turn) : 0.0;
      for (double y : {one.from - shift, 0.5 * (one.from + one.to) - shift, one.to - shift}) {
        const int i = int(std::upper_bound(take_offs.begin(), take_offs.end(), y - 1e-12) - take_offs.begin()) - 1;
        if (y != one.to - shift || one.search.low > one.search.high) chosen[std::clamp(i, 0, fan.n[0] - 1)] = true;
      }
    }
    const std::size_t before = exits.size();
    for (int i = 0; i + (fan.closed ? 0 : 1) < fan.n[0]; ++i) {
      if (!chosen[i]) continue;
      const double a = take_offs[i], b = i + 1 < fan.n[0] ? take_offs[i + 1] : take_offs[0] + turn;
      for (int k = 1; k < parts; ++k) {
        Exit<2> between{};
        between.y0[0] = a + (b - a) * k / parts;
        exits.push_back(between);
      }
    }
    if (exits.size() == before) return;
    trace(fan, int(before), farthest);
    sort(fan);
    fan.reach = reach_of(fan);
  }

  /// Starts for the given receivers from a fan.
  void candidates(const Fan<D>& fan, const std::vector<int>& which, std::vector<Start>& starts) {
    Candidate<D> list[max_candidates];
    for (int i : which) {
      bool both = false;
      const int n = locate(fan, seen[i].y, seen[i].rho, list, &both);
      sure[i] = both;
      for (int k = 0; k < n; ++k) {
        Start one{{}, i, list[k].length, list[k].from, list[k].to};
        begin<D>(one.search, chart, seen[i].target, seen[i].rho, list[k].y, list[k].arrival);
        one.search.low = list[k].low;
        one.search.high = list[k].high;
        one.search.f_low = list[k].sign_low;
        starts.push_back(one);
      }
    }
  }

  /// Traces until every search has ended, keeps the rays found; returns the starts that led nowhere. A search whose ray
  /// cannot be the first to arrive is given up.
  std::vector<Start> follow(std::vector<Start>& starts, int most_traces) {
    std::vector<Search<D>> searches;
    std::vector<std::int32_t> asking;
    std::vector<Start> poor;
    std::vector<double> first(seen.size(), 1e300);  // acoustic length of each receiver's first ray, at most
    for (std::size_t k = 0; k < starts.size(); ++k) {
      searches.push_back(starts[k].search);
      if (starts[k].search.state == State::searching) asking.push_back(std::int32_t(k));
    }
    std::vector<Landing<D>> landings(asking.size());
    while (!asking.empty()) {
      TrialTask<D> task{&space,         {}, index, searches.data(), asking.data(), std::int64_t(asking.size()),
                        landings.data()};
      for (int d = 0; d < D; ++d) task.emitter[d] = at[d];
      SONORAY_DISPATCH(link_trials, task);
      for (std::size_t k = 0; k < asking.size(); ++k) {
        Start& one = starts[asking[k]];
        Search<D>& s = searches[asking[k]];
        const Landing<D>& landing = landings[k];
        ++mark(seen[one.owner].rx)[1];
        if (landing.landed) one.length = expected(s, landing, &one.error);
        advance(s, params.solver, chart, landing, params.tolerance, most_traces);
        if (s.state == State::found) found[one.owner].push_back(outcome(s, landing));
        if (s.state != State::failed && landing.landed && !landing.outside)
          first[one.owner] = std::min(first[one.owner], one.length + one.error);
      }
      std::size_t left = 0;
      for (std::size_t k = 0; k < asking.size(); ++k) {
        Start& one = starts[asking[k]];
        Search<D>& s = searches[asking[k]];
        const bool late = !params.all && one.length - one.error > first[one.owner] + tie;
        if (s.state == State::failed && !late) poor.push_back(one);
        if (s.state == State::searching && !late) asking[left++] = asking[k];
      }
      asking.resize(left);
    }
    return poor;
  }

  /// Starts in the line of sight.
  void straight(const std::vector<int>& which, std::vector<Start>& starts) {
    Fan<D> ends{};
    if constexpr (D == 2)
      if (params.solver == Solver::regula_falsi) ends = outermost(which);
    for (int i : which) {
      Search<D> s;
      double sight[D];
      for (int d = 0; d < D; ++d) sight[d] = seen[i].target[d] / seen[i].rho;
      begin<D>(s, chart, seen[i].target, seen[i].rho, seen[i].y, sight);
      if constexpr (D == 2) {
        if (params.solver == Solver::regula_falsi) {
          Sample<2> low, high;
          if (!ray_at<2>(ends, 0, s.rho, low) || !ray_at<2>(ends, 1, s.rho, high)) continue;
          s.low = ends.take_offs[0];
          s.high = ends.take_offs[1];
          s.f_low = s.low + low.deflection[0] - s.toward[0];
          s.f_high = s.high + high.deflection[0] - s.toward[0];
          if (!(s.f_low < 0 && s.f_high > 0)) continue;
          false_position(s, chart);
        }
      }
      starts.push_back({s, i, s.rho, 0, 0});
    }
  }

  /// The two outermost rays of the receivers' half-plane.
  Fan<2> outermost(const std::vector<int>& which) {
    Fan<2> fan = make_fan(params, chart, seen, which, 0.03, 2, 1e6);
    const double half = std::min(-fan.first[0], 0.5 * pi);
    fan.closed = false;
    exits.assign(2, Exit<2>{});
    exits[0].y0[0] = -half;
    exits[1].y0[0] = half;
    trace(fan, 0, farthest_of(which));
    sort(fan);
    return fan;
  }

  /// Rays to the given receivers from a fan, made denser where its starts are poor.
  void from_fan(std::vector<int> open) {
    Fan<D> fan = spread(open, (params.all ? thorough : usual)[D - 2]);
    std::vector<Start> starts;
    for (int round = 0; round <= rounds && !open.empty(); ++round) {
      for (int i : open) found[i].clear();
      starts.clear();
      if (D == 3 && round == 1 && !params.all)
        straight(open, starts);
      else
        candidates(fan, open, starts);
      const std::vector<Start> poor =
          follow(starts, round < rounds ? std::min(params.max_traces, few_traces) : params.max_traces);
      if (round == rounds || poor.empty()) break;
      const double farthest = farthest_of(open);
      open.clear();
      for (const Start& one : poor) open.push_back(one.owner);
      std::sort(open.begin(), open.end());
      open.erase(std::unique(open.begin(), open.end()), open.end());
      if constexpr (D == 2)
        divide(fan, poor, farthest);
      else if (round > 0 || params.all)
        fan = spread(open, {2.0 * (round + 1), usual[1].cells / (2 << round)}, std::clamp(1.2 * fan.reach, 0.1, 1.0));
    }
  }

  void link(std::int32_t tx, std::vector<LaterRay<D>>& later) {
    std::vector<Start> starts;
    std::vector<int> open;
    for (std::size_t i = 0; i < seen.size(); ++i) {
      std::int32_t* const m = mark(seen[i].rx);
      const bool known = m[0] == int(PairStatus::linked);
      m[1] = 0;
      if (!known || params.solver == Solver::regula_falsi) {
        open.push_back(int(i));
        continue;
      }
      const double* const f = ray(seen[i].rx);
      Start one{{}, int(i), 0, 0, 0};
      double y[D - 1];
      chart.coordinates(f + 2, y);
      begin<D>(one.search, chart, seen[i].target, seen[i].rho, y, f + 2 + D);
      starts.push_back(one);
    }
    if (!starts.empty()) {
      follow(starts, std::min(params.max_traces, few_traces));
      for (const Start& one : starts)
        if (found[one.owner].empty()) open.push_back(one.owner);
      std::sort(open.begin(), open.end());
      starts.clear();
    }
    if (!open.empty() && params.solver == Solver::newton) {
      from_fan(open);
    } else if (!open.empty()) {
      straight(open, starts);
      follow(starts, params.max_traces);
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const std::int32_t rx = seen[i].rx;
      choose<D>(found[i], sure[i], params.all, params.tolerance, tx, rx, mark(rx), ray(rx), later);
    }
  }
};

}  // namespace

template <int D, class Exec>
LinkReport link(const Exec& exec, const LinkParams<D>& params, View<const double, 2> tx, View<const double, 2> rx,
                View<double, 3> rays, View<std::int32_t, 3> marks, std::vector<LaterRay<D>>& later) {
  check<D>(params, tx, rx, rays.shape[0], rays.shape[1]);
  check<D>(params, tx, rx, marks.shape[0], marks.shape[1]);
  require(rays.shape[2] == ray_fields<D> && marks.shape[2] == mark_fields, "rays, marks: expected the fields in order");
  const Space<D> space = make_space<D>(params, tx, rx);
  std::vector<std::vector<LaterRay<D>>> each(tx.shape[0]);
  std::vector<std::int64_t> traces(tx.shape[0]);
  for_each(exec, tx.shape[0], [&](std::int64_t e) {
    Emitter<D> emitter(params, space);
    emitter.rays = rays.data + e * rx.shape[0] * ray_fields<D>;
    emitter.marks = marks.data + e * rx.shape[0] * mark_fields;
    emitter.look(tx.data + e * D, rx);
    emitter.link(std::int32_t(e), each[e]);
    traces[e] = emitter.fan_traces;
  });
  LinkReport report;
  for (std::int64_t e = 0; e < tx.shape[0]; ++e) {
    auto& list = each[e];
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.rx < b.rx; });
    later.insert(later.end(), list.begin(), list.end());
    report.fan_traces += traces[e];
  }
  return report;
}

template <int D, class Exec>
void link_paths(const Exec& exec, const LinkParams<D>& params, View<const double, 2> tx, View<const double, 2> rx,
                View<const double, 3> rays, View<const std::int32_t, 3> marks, int stride,
                View<const std::int64_t, 1> offsets, View<double, 2> points) {
  check<D>(params, tx, rx, rays.shape[0], rays.shape[1]);
  check<D>(params, tx, rx, marks.shape[0], marks.shape[1]);
  require(rays.shape[2] == ray_fields<D> && marks.shape[2] == mark_fields, "rays, marks: expected the fields in order");
  const std::int64_t n_rx = rx.shape[0], pairs = tx.shape[0] * n_rx;
  require(stride >= 1, "stride: expected at least 1");
  require(offsets.shape[0] == pairs + 1 && points.shape[1] == D && offsets.data[0] == 0 &&
              offsets.data[pairs] == points.shape[0],
          "offsets, points: expected one offset per pair and one more, and as many nodes as they say");
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int32_t* m = marks.data + i * mark_fields;
    const std::int64_t nodes = offsets.data[i + 1] - offsets.data[i];
    require(nodes == 0 || (m[0] == int(PairStatus::linked) && m[3] >= 0 && nodes == path_nodes(m[3], stride)),
            "offsets: expected the number of nodes that each pair's steps need");
  }
  const Space<D> space = make_space<D>(params, tx, rx);
  for_each(exec, tx.shape[0], [&](std::int64_t e) {
    std::vector<double> take_off, receivers;
    std::vector<std::int32_t> steps;
    std::vector<std::int64_t> first;
    for (std::int64_t r = 0; r < n_rx; ++r) {
      const std::int64_t pair = e * n_rx + r;
      if (offsets.data[pair] == offsets.data[pair + 1]) continue;
      for (int d = 0; d < D; ++d) {
        take_off.push_back(rays(e, r, 2 + d));
        receivers.push_back(rx(r, d));
      }
      steps.push_back(marks(e, r, 3));
      first.push_back(offsets.data[pair]);
    }
    if (steps.empty()) return;
    PathTask<D> task{
        &space,       {},     0,          std::int64_t(steps.size()), take_off.data(), receivers.data(), steps.data(),
        first.data(), stride, points.data};
    tracing::Sample<D, double> s;
    for (int d = 0; d < D; ++d) task.emitter[d] = tx(e, d);
    tracing::sample_index<0, D, double>(params.medium, task.emitter, s);
    task.index = s.value;
    SONORAY_DISPATCH(link_trace_paths, task);
  });
}

#define SONORAY_INSTANTIATE(D)                                                                                     \
  template LinkReport link<D, Cpu>(const Cpu&, const LinkParams<D>&, View<const double, 2>, View<const double, 2>, \
                                   View<double, 3>, View<std::int32_t, 3>, std::vector<LaterRay<D>>&);             \
  template void link_paths<D, Cpu>(const Cpu&, const LinkParams<D>&, View<const double, 2>, View<const double, 2>, \
                                   View<const double, 3>, View<const std::int32_t, 3>, int,                        \
                                   View<const std::int64_t, 1>, View<double, 2>);
SONORAY_INSTANTIATE(2)
SONORAY_INSTANTIATE(3)
#undef SONORAY_INSTANTIATE

}  // namespace sonoray
