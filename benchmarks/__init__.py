"""The benchmarks: one command each, peers and a C floor measured in the same run. See README.md."""
