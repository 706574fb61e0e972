"""``python -m bench``: every benchmark with the packages that are installed; see bench/README.md."""

from bench.beamforming import bench_das

if __name__ == "__main__":
    bench_das.main()
