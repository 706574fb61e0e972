#pragma once
// Products with a matrix stored by rows, on threads. The transpose does not depend on their number.
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// Compressed rows: row i has the entries starts[i] to starts[i + 1].
template <class Value>
struct SparseRows {
  View<const std::int64_t, 1> starts;   ///< (n_rows + 1)
  View<const std::int32_t, 1> indices;  ///< (n_entries), below n_columns
  View<const Value, 1> values;          ///< (n_entries) float or double; sums are double in either case
  std::int64_t n_rows() const { return starts.shape[0] - 1; }
};

/// Whether starts rise from 0 to the number of entries and all indices are below n_columns.
template <class Value>
SONORAY_API bool is_consistent(const SparseRows<Value>&, std::int64_t n_columns);

/// out = A x. Only the sizes are checked: the matrix has passed is_consistent.
template <class Value>
SONORAY_API void sparse_product(const Cpu&, const SparseRows<Value>&, View<const double, 1> x, View<double, 1> out);

/// out = A' y.
template <class Value>
SONORAY_API void sparse_transpose_product(const Cpu&, const SparseRows<Value>&, View<const double, 1> y,
                                          View<double, 1> out);

}  // namespace sonoray
