"""Full-wave simulation: channel data that no delay of ours has made.

rho dv/dt + grad p = f and 1/(rho c^2) dp/dt + div v = 0 are stepped in two dimensions (`full_wave`, with the extra
``sim``); `scheme` holds the numerics, `propagator` the compiled steps, `pulses` what the elements send. `helmholtz`
solves for one frequency at a time, with SciPy alone.
"""

from .full_wave import simulate_channel_data
from .helmholtz import simulate_helmholtz
from .pulses import GaussianPulse

__all__ = ["GaussianPulse", "simulate_channel_data", "simulate_helmholtz"]
