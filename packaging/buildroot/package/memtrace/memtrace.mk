################################################################################
#
# memtrace
#
################################################################################

MEMTRACE_VERSION = 0.1.0
# This tree is a part of the sources
MEMTRACE_SITE = $(BR2_EXTERNAL_MEMTRACE_PATH)/../..
MEMTRACE_SITE_METHOD = local
MEMTRACE_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude '/build*/'
HOST_MEMTRACE_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude '/build*/'
MEMTRACE_LICENSE = MIT
MEMTRACE_LICENSE_FILES = LICENSE

HOST_MEMTRACE_DEPENDENCIES = host-elfutils host-pkgconf

MEMTRACE_MAKE_OPTS = O=build

ifeq ($(BR2_PACKAGE_MEMTRACE_STATIC),y)
MEMTRACE_MAKE_OPTS += STATIC=1
else ifeq ($(BR2_PACKAGE_LIBEDIT),y)
MEMTRACE_DEPENDENCIES += host-pkgconf libedit
endif

define MEMTRACE_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(TARGET_CONFIGURE_OPTS) -C $(@D) \
		$(MEMTRACE_MAKE_OPTS) build/memtrace
endef

define MEMTRACE_INSTALL_TARGET_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(TARGET_CONFIGURE_OPTS) -C $(@D) \
		$(MEMTRACE_MAKE_OPTS) DESTDIR=$(TARGET_DIR) PREFIX=/usr \
		install-memtrace
endef

define HOST_MEMTRACE_BUILD_CMDS
	$(HOST_MAKE_ENV) $(MAKE) $(HOST_CONFIGURE_OPTS) -C $(@D) O=build \
		build/memtrace-fs
endef

define HOST_MEMTRACE_INSTALL_CMDS
	$(HOST_MAKE_ENV) $(MAKE) $(HOST_CONFIGURE_OPTS) -C $(@D) O=build \
		PREFIX=$(HOST_DIR) install-memtrace-fs
endef

$(eval $(generic-package))
$(eval $(host-generic-package))
