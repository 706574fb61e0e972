"""ultraspy: apply_wall_filter and get_color_doppler_map on the host."""

import numpy as np
from ultraspy.cpu import doppler


def prepare(job, data, option):
    packet = np.ascontiguousarray(data.transpose(1, 2, 0))

    def execute():
        # The filter writes into its argument.
        filtered = doppler.apply_wall_filter(packet.copy(), "poly", job.order) if job.order > 0 else packet
        return doppler.get_color_doppler_map(filtered, job.nyquist)

    return execute, lambda velocity: velocity, "frames last"
