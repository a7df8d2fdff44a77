# Other CPUs: cross compilers, and a real kernel for each under qemu-system.
CROSS_PACKAGES := qemu-system-arm cpio xz-utils gdb-multiarch \
	gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf gcc-arm-linux-gnueabi \
	libc6-dev-arm64-cross libc6-dev-armhf-cross libc6-dev-armel-cross

.PHONY: deps-cross check-cross
## make deps-cross    installs the compilers and qemu that check-cross needs
deps-cross:
	apt-get install -y --no-install-recommends $(CROSS_PACKAGES)

## make check-cross   boots arm64, armhf and armel and runs the tests there
check-cross:
	O=$(abspath $(O)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/cross
