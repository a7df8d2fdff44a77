SUMMARY = "Finds memory leaks in running processes"
DESCRIPTION = "Attaches to a process that is already running, follows every allocation \
               with its exact call stack, says what is not freed and where it came from, \
               and leaves without a trace. memtrace-fs, on the machine where the debug \
               files are, gives it names, source files and lines."
HOMEPAGE = "https://example.org/memtrace"
BUGTRACKER = "https://example.org/memtrace/issues"
SECTION = "devel"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=246dc789d7f4825be0dcdb01d156638d"
CVE_PRODUCT = "memtrace"

DEPENDS = "elfutils libedit"

SRC_URI = "file://run-ptest"

inherit externalsrc pkgconfig ptest

EXTERNALSRC = "${MEMTRACE_TREE}"
EXTERNALSRC_BUILD = "${WORKDIR}/build"

# (by HOSTCC memtrace's Makefile tells a build for another machine, of which memtrace-fs is not)
EXTRA_OEMAKE = "-C ${S} O=${B} V=1 HOSTCC='${CC}' PREFIX=${prefix} DESTDIR=${D}"

COMPATIBLE_HOST = "(x86_64|aarch64|arm|mipsel|riscv64).*-linux"

do_compile() {
    oe_runmake all
}

do_install() {
    oe_runmake install
}

do_compile_ptest() {
    oe_runmake ${B}/demo/leak
}

do_install_ptest() {
    install -m 0755 ${B}/demo/leak ${D}${PTEST_PATH}/leak
}

PACKAGES =+ "${PN}-fs"

COMPLETIONS = "${datadir}/bash-completion/completions ${datadir}/fish/vendor_completions.d ${datadir}/zsh/site-functions"
FILES:${PN} += "${COMPLETIONS}"
FILES:${PN}-fs += "${bindir}/memtrace-fs ${datadir}/bash-completion/completions/memtrace-fs \
                   ${datadir}/fish/vendor_completions.d/memtrace-fs.fish ${datadir}/zsh/site-functions/_memtrace-fs"

BBCLASSEXTEND = "native nativesdk"
