# Other CPUs: cross compilers, and a real kernel for each under qemu-system.
.PHONY: check-cross check-cross-deps bench-cross
## make check-cross   boots armhf, armel and arm64 under qemu and runs the tests there; installs
##                    what that needs (CROSS_CPUS="armhf arm64": these; CROSS_JOBS=1: one at a time)
check-cross: check-cross-deps all
	O=$(abspath $(O)) $(PYTHON) tests/cross/run.py

## make bench-cross   sizes of the static files; in guests: stops, memory, cost against a bare stop
bench-cross: check-cross-deps
	O=$(abspath $(O)) $(PYTHON) tests/cross/bench.py

check-cross-deps:
	@scripts/deps.sh cross
