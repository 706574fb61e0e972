#pragma once
// nanobind's side of the binding templates: DLPack arrays in device memory. host_arrays.h is its twin.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "core/view.h"

namespace sonoray::bindings {

namespace nb = nanobind;

struct Device {
  using Exec = Cuda;
  using Module = nb::module_;
  using ReleaseGil = nb::call_guard<nb::gil_scoped_release>;

  /// A C-ordered CUDA array of exactly this type; anything else is refused, never converted. `T` may be const.
  template <class T, int N>
  using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cuda>;

  // noconvert: an implicit contiguous copy would not be ordered with the caller's stream.
  static auto arg(const char* name) { return nb::arg(name).noconvert(); }
  static nb::kw_only kw_only() { return {}; }

  /// `index` is the device's ordinal, `stream` a raw cudaStream_t.
  static Cuda exec(int index, std::uintptr_t stream) { return Cuda{index, reinterpret_cast<void*>(stream)}; }

  template <class T, int N, class A>
  static View<T, N> view(A& array, const char*) {
    View<T, N> v;
    v.data = array.data();
    for (int d = 0; d < N; ++d) v.shape[d] = static_cast<std::int64_t>(array.shape(d));
    return v;
  }

  template <class T, int N, class A>
  static View<T, N> view(std::optional<A>& array, const char* name) {
    return array ? view<T, N>(*array, name) : View<T, N>{};
  }
};

/// Makes ArgumentError and DeviceError arrive as the classes of sonoray.errors.
inline void translate_errors(nb::module_&) {
  static PyObject* argument = nb::object(nb::module_::import_("sonoray.errors").attr("ArgumentError")).release().ptr();
  static PyObject* device = nb::object(nb::module_::import_("sonoray.errors").attr("DeviceError")).release().ptr();
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const ArgumentError& e) {
      PyErr_SetString(argument, e.what());
    } catch (const DeviceError& e) {
      PyErr_SetString(device, e.what());
    }
  });
}

}  // namespace sonoray::bindings
