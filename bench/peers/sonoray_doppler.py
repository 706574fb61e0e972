"""Ours."""

import sonoray


def prepare(job, data, option):
    order = job.order if job.order >= 0 else None

    def execute():
        return sonoray.doppler_velocity(data, job.f0, job.rate, job.c, wall_filter=order)

    return execute, lambda velocity: velocity, "frames first"
