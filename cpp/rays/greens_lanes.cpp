#include "rays/greens_lanes.h"

namespace sonoray::greens::SONORAY_LEVEL {
namespace {

using Number = lanes::Wide;
constexpr int columns = sector + 1;
constexpr float unreached = 1e30f;

template <bool plain>
void trace(const Plan& plan, const Fan& fan, int first, int column, Node* nodes, std::int32_t* last, Work& work) {
  for (; column < columns; column += lanes::count<Number>, first += lanes::count<Number>) {
    const int left = columns - column, count = left < lanes::count<Number> ? left : lanes::count<Number>;
    work.steps += std::int64_t(count) * trace_fan<Number, plain>(plan, fan, first, count, nodes, columns, column, last);
    work.rays += count;
  }
}

}  // namespace

void greens_clear(const Plan& plan, int slot, const Room& room) {
  const std::int64_t n = plan.buckets.n_points;
  Record* const records = room.records + slot * n;
  for (std::int64_t k = 0; k < n; ++k) records[k].value[excess] = unreached;
}

void greens_trace(const Plan& plan, const Fan& fan, int number, const Room& room, std::int32_t* last, Work& work) {
  // The last ray of the sector before is the first of this one.
  const int known = number > 0 ? 1 : 0;
  if (known) {
    last[0] = last[sector];
    for (int j = 1; j <= last[0]; ++j) room.nodes[j * columns] = room.nodes[j * columns + sector];
  }
  const bool plain = !plan.medium.travel && !plan.medium.absorption;
  plain ? trace<true>(plan, fan, number * sector + known, known, room.nodes, last, work)
        : trace<false>(plan, fan, number * sector + known, known, room.nodes, last, work);
}

void greens_raster(const Plan& plan, const Fan& fan, int slot, const std::int32_t* last, const Room& room, Work& work) {
  const std::int64_t n = plan.buckets.n_points;
  Record* const records = room.records + slot * n;
  float* const absorption = room.absorption ? room.absorption + slot * n : nullptr;
  std::uint8_t* const passed = room.caustics + slot * n;
  int longest = 0;
  for (int i = 0; i < columns; ++i) longest = last[i] > longest ? last[i] : longest;
  const auto fill = [&](const Node& a, const Node& b, const Node& c) {
    const Triangle triangle(a, b, c);
    for_points(plan.buckets, triangle, [&](std::int32_t k, float wb, float wc) {
      float sum[quantities];
      triangle.at(plan.buckets.x[k], plan.buckets.z[k], wb, wc, sum);
      if (sum[excess] >= records[k].value[excess]) return;
      for (int i = 0; i < 4; ++i) records[k].value[i] = sum[i];
      if (absorption) absorption[k] = sum[absorbed];
      const int index = static_cast<int>(sum[caustics]);
      passed[k] = static_cast<std::uint8_t>(index < 255 ? index : 255);
      work.caustics |= index > 0;
    });
  };
  for (int j = 1; j < longest; ++j) {
    const int apart = interval(plan, fan, j), next = interval(plan, fan, j + 1);
    for (int i = 0; i < sector; i += apart) for_triangles(room.nodes, columns, last, j, i, apart, next, fill);
  }
}

/// Writes whole lines of the results: at each point all sources of the block.
void greens_gather(const Plan& plan, const Fan* fans, int count, std::int64_t first, const Room& room, const Job& job) {
  const std::int64_t n = plan.buckets.n_points, stride = job.excess.shape[1];
  const float slowness = static_cast<float>(1.0 / job.speed);
  for (std::int64_t k = 0; k < n; ++k) {
    const std::int64_t i = plan.buckets.original[k], at = i * stride + first;
    for (int s = 0; s < count; ++s) {
      Record record = room.records[s * n + k];
      std::uint8_t passed = room.caustics[s * n + k];
      float gathered = room.absorption ? room.absorption[s * n + k] : 0.0f;
      const float dx = plan.buckets.x[k] - static_cast<float>(fans[s].x[0] - plan.center[0]);
      const float dz = plan.buckets.z[k] - static_cast<float>(fans[s].x[1] - plan.center[1]);
      bool reached = record.value[excess] < unreached;
      if (dx * dx + dz * dz < static_cast<float>(plan.near * plan.near)) {
        const double ex = job.points(i, 0) - fans[s].x[0], ez = job.points(i, 1) - fans[s].x[1];
        const double r = __builtin_sqrt(ex * ex + ez * ez);
        straight(plan, fans[s], job.points.data + 2 * i, r, record, room.absorption ? &gathered : nullptr);
        passed = 0;
        reached = r > 1e-9;  // in the source itself the field is infinite
      }
      job.excess.data[at + s] = reached ? slowness * record.value[excess] : 0.0f;
      job.focusing.data[at + s] = reached ? focusing_of(record.value[tube]) : 0.0f;
      job.take_off.data[at + s] = reached ? record.value[take_off] : 0.0f;
      job.arrival.data[at + s] = reached ? record.value[arrival] : 0.0f;
      if (room.absorption) job.absorption.data[at + s] = reached ? gathered : 0.0f;
      if (passed && reached) job.caustics.data[at + s] = passed;
    }
  }
}

}  // namespace sonoray::greens::SONORAY_LEVEL
