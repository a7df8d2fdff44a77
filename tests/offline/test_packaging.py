"""packaging/: what can be looked at without the systems that these are for (its README says what looked
at the rest): versions, licence hashes, paths, and that each is read without an error."""
import hashlib
import re
import subprocess

import pytest

import foreign
from test_install import ENVIRONMENT, files_of

PACKAGING = foreign.ROOT / "packaging"
VERSION, = re.findall(r"^VERSION := (\S+)$", (foreign.ROOT / "Makefile").read_text(), re.M)
LICENCE = (foreign.ROOT / "LICENSE").read_bytes()
RECIPES = PACKAGING / "yocto/meta-memtrace/recipes-devtools/memtrace"


def text(path):
    return (PACKAGING / path).read_text()


@pytest.mark.parametrize("path, said", [
    ("debian/changelog", rf"\Amemtrace \({VERSION}-\d+\) "),
    ("buildroot/package/memtrace/memtrace.mk", rf"(?m)^MEMTRACE_VERSION = {VERSION}$"),
    ("openwrt/memtrace/Makefile", rf"(?m)^PKG_VERSION:={VERSION}$"),
    ("alpine/APKBUILD", rf"(?m)^pkgver={VERSION}$")])
def test_version(path, said):
    assert re.search(said, text(path)), path


def test_recipe_is_the_version():
    recipe, = RECIPES.glob("*.bb")
    assert recipe.name == f"memtrace_{VERSION}.bb"


def test_licence():
    """As the hash files have it; and each says that it is MIT's."""
    said = text("buildroot/package/memtrace/memtrace.hash")
    assert re.findall(r"^sha256  (\w+)  (\S+)$", said, re.M) == [(hashlib.sha256(LICENCE).hexdigest(), "LICENSE")]
    recipe = next(RECIPES.glob("*.bb")).read_text()
    assert f"file://LICENSE;md5={hashlib.md5(LICENCE).hexdigest()}" in recipe
    for path, line in (("buildroot/package/memtrace/memtrace.mk", "MEMTRACE_LICENSE = MIT"),
                       ("openwrt/memtrace/Makefile", "PKG_LICENSE:=MIT"), ("alpine/APKBUILD", 'license="MIT"')):
        assert line in text(path).splitlines(), path
    # Debian's copyright has it whole, word by word.
    words = re.sub(r"(?m)^ \.$", "", text("debian/copyright")).split()
    licence = LICENCE.decode().split("\n\n", 2)[2].split()
    assert any(words[i:i + len(licence)] == licence for i in range(len(words)))


@pytest.mark.parametrize("program", ["memtrace", "memtrace-fs"])
def test_debian_has_what_is_installed(program):
    listed = {line.split()[0] for line in text(f"debian/{program}.install").splitlines()}
    assert listed == files_of(program)
    for name in text(f"debian/{program}.docs").split():
        assert (foreign.ROOT / name).is_file(), name


def test_debian_tests():
    named = re.findall(r"^Tests: (\S+)$", text("debian/tests/control"), re.M)
    scripts = {path.name for path in (PACKAGING / "debian/tests").iterdir()} - {"control"}
    assert set(named) == scripts and text("debian/tests/control").count("isolation-machine") == len(named)


def test_fs_of_the_recipe():
    """What is listed of memtrace-fs is what `make install-memtrace-fs` puts there, but the man page (OE's -doc)."""
    recipe = next(RECIPES.glob("*.bb")).read_text().replace("\\\n", " ")
    listed = re.search(r'FILES:\$\{PN\}-fs \+= "([^"]*)"', recipe)[1].split()
    names = {name.replace("${bindir}", "usr/bin").replace("${datadir}", "usr/share") for name in listed}
    assert names == {name for name in files_of("memtrace-fs") if "/man/" not in name}


def test_trees_are_found():
    """The sources are some folders above the recipes."""
    for path, above in (("buildroot/package/memtrace/memtrace.mk", r"\$\(BR2_EXTERNAL_MEMTRACE_PATH\)/(\S+)"),
                        ("openwrt/memtrace/Makefile", r"\$\(CURDIR\)/(\S+)"),
                        ("yocto/meta-memtrace/conf/layer.conf", r"\$\{LAYERDIR\}/([^\"]+)")):
        folder = {"buildroot": "buildroot", "openwrt": "openwrt/memtrace", "yocto": "yocto/meta-memtrace"}[path.split("/")[0]]
        tree = PACKAGING / folder / re.search(r"(?:SITE = |TREE:=|TREE = \")" + above, text(path))[1]
        assert tree.resolve() == foreign.ROOT, path
    for source in re.findall(r'source "\$BR2_EXTERNAL_MEMTRACE_PATH/(\S+)"', text("buildroot/Config.in")):
        assert (PACKAGING / "buildroot" / source).is_file()
    copied, = set(re.findall(r"\$\(addprefix \$\(MEMTRACE_TREE\)/,([^)]*)\)", text("openwrt/memtrace/Makefile")))
    for name in copied.split():
        assert (foreign.ROOT / name).exists(), name


SCRIPTS = [path.relative_to(PACKAGING) for path in PACKAGING.rglob("*")
           if path.is_file() and (path.name == "APKBUILD" or path.read_bytes().startswith(b"#!/bin/sh"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_scripts_are_read(script):
    subprocess.run(["sh", "-n", PACKAGING / script], check=True)


def test_openwrt_builds(tmp_path):
    """The feed's Makefile below what stands for OpenWrt's: two packages, from a copy of the tree, for the device."""
    (tmp_path / "rules.mk").write_text("")
    (tmp_path / "host-build.mk").write_text("")
    (tmp_path / "package.mk").write_text(OPENWRT)
    said = subprocess.run(
        ["make", "-s", "-C", PACKAGING / "openwrt/memtrace", f"TOPDIR={tmp_path}", f"INCLUDE_DIR={tmp_path}",
         f"PKG_BUILD_DIR={tmp_path}/build_dir", "MAKE_FLAGS=-n V=1 CC=arm-linux-gnueabihf-gcc CROSS=arm-linux-gnueabihf- ARCH=arm",
         "TARGET_CC=arm-linux-gnueabihf-gcc", "CONFIG_PACKAGE_memtrace-fs=y", "prepared", "compiled"],
        env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert {"package memtrace", "package memtrace-fs", "host"} <= set(said.splitlines())
    linked = [line for line in said.splitlines() if re.search(r" -o build/memtrace(-fs)? ", line)]
    assert len(linked) == 2 and all(line.startswith("arm-linux-gnueabihf-gcc ") for line in linked)


OPENWRT = """INSTALL_DIR := install -d
CP := cp -pR
BuildPackage = $(info package $(1))
HostBuild = $(info host)
prepared: ; $(Build/Prepare)
compiled: prepared ; $(Build/Compile)
"""
