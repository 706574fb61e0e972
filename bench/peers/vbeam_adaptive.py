"""vbeam: its coherence factor of signals kept apart by receiver, times their sum, on JAX on the CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import vbeam.beamformers as vb
from vbeam.beamformers.building_blocks import sum_over_dimensions, unflatten_points, vectorize_over_datacube
from vbeam.postprocess import coherence_factor
from vbeam.util.transformations import Apply, Axis, Reduce, compose

from bench.peers.vbeam_das import signal_setup


def weighted(signals, axis):
    """Sum over receivers times its coherence factor."""
    return jnp.sum(signals, axis) * coherence_factor(signals, axis)


def prepare(job, data, option):
    if job.n_tx > 1 or job.method != "coherence-factor":
        raise NotImplementedError("adapter covers the coherence factor of one transmit")
    setup = signal_setup(job, data)
    beamform = jax.jit(  # vbeam's get_coherence_beamformer with `weighted` in place of the factor alone
        compose(
            vb.signal_for_point,
            vectorize_over_datacube(setup, ignore=["transmits"]),
            sum_over_dimensions(setup, keep={"receivers", "transmits"}),
            Reduce.Sum("transmits"),
            unflatten_points(setup),
            Apply(weighted, Axis("receivers")),
        ).build(setup.spec)
    )
    arguments = {k: v for k, v in setup.data.items() if v is not None}

    def execute():
        return beamform(**arguments).block_until_ready()

    return execute, lambda result: np.asarray(result)[None], "compiled before"
