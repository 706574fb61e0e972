#pragma once
// nanobind's side of the binding templates: DLPack arrays in device memory. host_arrays.h is its twin.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "core/strided.h"
#include "core/view.h"

namespace sonoray::bindings {

namespace nb = nanobind;

struct Device {
  using Exec = Cuda;
  using Module = nb::module_;
  using ReleaseGil = nb::call_guard<nb::gil_scoped_release>;
  using WithoutGil = nb::gil_scoped_release;  ///< around the long part of a call, once no array is touched

  /// A C-ordered CUDA array of exactly this type; anything else is refused, never converted. `T` may be const.
  template <class T, int N>
  using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cuda>;

  /// An array of any type and strides, for functions that take several.
  using AnyArray = nb::ndarray<nb::ro, nb::device::cuda>;

  static Strided strided(const AnyArray& array, const char* name) {
    require(array.ndim() <= 5, std::string(name) + ": expected at most 5 axes, got " + std::to_string(array.ndim()));
    const nb::dlpack::dtype type = array.dtype();
    const auto code = static_cast<nb::dlpack::dtype_code>(type.code);
    Strided s;
    s.data = array.data();
    s.kind = code == nb::dlpack::dtype_code::Int       ? 'i'
             : code == nb::dlpack::dtype_code::Float   ? 'f'
             : code == nb::dlpack::dtype_code::Complex ? 'c'
                                                       : '?';
    s.item_size = type.bits / 8;
    s.n_axes = static_cast<int>(array.ndim());
    for (int d = 0; d < s.n_axes; ++d) {
      s.shape[d] = static_cast<std::int64_t>(array.shape(d));
      s.stride[d] = array.stride(d) * s.item_size;
    }
    return s;
  }

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
