#include "inversion/sparse_rows.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/for_each.h"

namespace sonoray {
namespace {

constexpr std::int64_t rows_at_once = 64;
constexpr std::int64_t most_parts = 16;  // private results of the transpose

}  // namespace

template <class Value>
bool is_consistent(const SparseRows<Value>& a, std::int64_t n_columns) {
  const std::int64_t entries = a.values.shape[0];
  if (a.n_rows() < 0 || a.indices.shape[0] != entries || a.starts(0) != 0 || a.starts(a.n_rows()) != entries)
    return false;
  bool ok = true;
  for (std::int64_t i = 0; i < a.n_rows(); ++i) ok = ok && a.starts(i) <= a.starts(i + 1);
  for (std::int64_t k = 0; k < entries; ++k) ok = ok && a.indices(k) >= 0 && a.indices(k) < n_columns;
  return ok;
}

template <class Value>
void sparse_product(const Cpu& exec, const SparseRows<Value>& a, View<const double, 1> x, View<double, 1> out) {
  require(out.shape[0] == a.n_rows(), "out: expected one number per row");
  const auto row = [&](std::int64_t i) {
    double sums[4] = {};  // independent, so that additions overlap
    std::int64_t k = a.starts.data[i];
    const std::int64_t end = a.starts.data[i + 1];
    const Value* const v = a.values.data;
    const std::int32_t* const j = a.indices.data;
    for (; k + 4 <= end; k += 4)
      for (int l = 0; l < 4; ++l) sums[l] += v[k + l] * x.data[j[k + l]];
    for (; k < end; ++k) sums[0] += v[k] * x.data[j[k]];
    out.data[i] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  };
  for_each(exec, a.n_rows(), row, rows_at_once);
}

template <class Value>
void sparse_transpose_product(const Cpu& exec, const SparseRows<Value>& a, View<const double, 1> y,
                              View<double, 1> out) {
  require(y.shape[0] == a.n_rows(), "y: expected one number per row");
  const std::int64_t n = a.n_rows(), columns = out.shape[0];
  // The parts depend on the problem only: each is worth its own result if it has more entries than that.
  const std::int64_t parts =
      std::max<std::int64_t>(1, std::min({most_parts, n, a.values.shape[0] / std::max<std::int64_t>(1, 4 * columns)}));
  std::vector<double> private_sums(parts * columns);
  const auto part = [&](std::int64_t p) {
    double* const sums = private_sums.data() + p * columns;
    for (std::int64_t i = n * p / parts; i < n * (p + 1) / parts; ++i) {
      const double value = y.data[i];
      if (value == 0) continue;
      for (std::int64_t k = a.starts.data[i]; k < a.starts.data[i + 1]; ++k)
        sums[a.indices.data[k]] += value * a.values.data[k];
    }
  };
  for_each(exec, parts, part);
  const auto add = [&](std::int64_t column) {
    double sum = 0;
    for (std::int64_t p = 0; p < parts; ++p) sum += private_sums[p * columns + column];
    out.data[column] = sum;
  };
  for_each(exec, columns, add, 4096);
}

#define SONORAY_SPARSE(Value)                                                                                 \
  template bool is_consistent(const SparseRows<Value>&, std::int64_t);                                        \
  template void sparse_product(const Cpu&, const SparseRows<Value>&, View<const double, 1>, View<double, 1>); \
  template void sparse_transpose_product(const Cpu&, const SparseRows<Value>&, View<const double, 1>, View<double, 1>);
SONORAY_SPARSE(float)
SONORAY_SPARSE(double)
#undef SONORAY_SPARSE

}  // namespace sonoray
