#include <cstdint>

#include "bindings/bind_beamforming.h"
#include "bindings/bind_born.h"
#include "bindings/bind_core.h"
#include "bindings/bind_finite_frequency.h"
#include "bindings/bind_focus_criteria.h"
#include "bindings/bind_greens.h"
#include "bindings/bind_imaging.h"
#include "bindings/bind_linking.h"
#include "bindings/bind_picking.h"
#include "bindings/bind_rays.h"
#include "bindings/bind_tomography.h"
#include "bindings/bind_tracing.h"
#include "bindings/blas.h"
#include "bindings/device_arrays.h"
#include "bindings/memory.h"

using namespace sonoray;
using bindings::Device;

NB_MODULE(_cuda, m) {
  m.doc() = "Compiled core of sonoray on CUDA devices.";
  bindings::translate_errors(m);
  bindings::bind_core<Device>(m);
  bindings::bind_beamforming<Device>(m);
  bindings::bind_rays<Device>(m);
  bindings::bind_born<Device>(m);
  bindings::bind_finite_frequency<Device>(m);
  bindings::bind_focus_criteria<Device>(m);
  bindings::bind_picking<Device>(m);
  bindings::bind_tomography<Device>(m);
  bindings::bind_greens<Device>(m);
  bindings::bind_imaging<Device>(m);
  bindings::bind_linking<Device>(m);
  bindings::bind_tracing<Device>(m);
  bindings::bind_memory(m);
  bindings::bind_blas(m);
}
