# memtrace: one Makefile, no configure step.  `make help` says what there is.
VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
HOSTCC ?= gcc
PREFIX ?= /usr/local
DESTDIR ?=
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config

# A compiler for another CPU: memtrace is built for that one, in a folder of its own,
# and memtrace-fs for this machine.
triplet = $(shell $(1) -dumpmachine 2>/dev/null | sed 's/-\(pc\|unknown\)-/-/')
TRIPLET := $(call triplet,$(CC))
ifneq ($(TRIPLET),$(call triplet,$(HOSTCC)))
FOREIGN := $(TRIPLET)
endif
# musl's wrapper of the host's compiler says the host's triplet; it has the libraries of
# musl alone, and none of the kernel's headers.
ifneq ($(filter musl-gcc %/musl-gcc,$(firstword $(CC))),)
FOREIGN := $(TRIPLET:%-gnu=%-musl)
KERNEL_HEADERS = $(addprefix -idirafter ,/usr/include /usr/include/$(shell $(HOSTCC) -print-multiarch))
endif
O ?= build$(FOREIGN:%=-%)
# (when a recipe runs: `make deps all` installs the compiler on the way)
ifeq ($(origin AR),default)
AR = $(shell $(CC) -print-prog-name=ar)
endif

# (STATIC=1 is for devices: its calls wait for the kernel, its bytes lie in flash)
CFLAGS ?= $(if $(STATIC),$(SMALLEST),-O2) -g
# (-Oz: gcc 12 and later)
SMALLEST = $(or $(shell $(CC) -Oz -E -x c /dev/null >/dev/null 2>&1 && echo -Oz),-Os)
WARNINGS := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow -Wvla
FLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DMEMTRACE_VERSION='"$(VERSION)"' \
	 -Isrc -pthread -fno-strict-aliasing $(WARNINGS) $(KERNEL_HEADERS)
# WERROR=1: no warning of this machine's compiler passes (CI).
ifeq ($(WERROR)$(FOREIGN),1)
FLAGS += -Werror
endif
# The same bytes in any folder: sources are named from where the Makefile is, and what gcc makes
# up for objects that are optimised later is made of their names.
ANYWHERE = -ffile-prefix-map=$(CURDIR)=. $(if $(LTO),-frandom-seed=$(<))
LINK := -pthread
# (before glibc 2.34 timers and dlopen() are libraries of their own)
SYSTEM_LIBS := -lrt -ldl

comma := ,
# SAN=address,undefined: everything with sanitizers, in a folder of its own.
ifdef SAN
override O := $(O)-$(subst $(comma),-,$(SAN))
FLAGS += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LINK += -fsanitize=$(SAN)
endif

# STATIC=1: memtrace as one file that needs nothing.
# To be small: optimised as one program, without the functions that only memtrace-fs and tests
# call, what is only for other CPUs, and unwind data (a tenth of the file).
ifdef STATIC
compiles = $(shell printf '$(2)\n' | $(CC) $(CFLAGS) $(1) -x c -c -o /dev/null - 2>/dev/null && echo '$(1)')
LTO := $(call compiles,-flto=auto)
# (T16 is a fifth smaller than A32; 32-bit ARM whose floats are in registers lacks it before ARMv7)
THUMB := $(if $(filter arm%,$(TRIPLET)),$(call compiles,-mthumb,double half(double x) { return x / 2; }))
# (AArch64's addresses in one instruction: within 1 MB, which glibc's static programs are over)
hash := \#
TINY := $(if $(filter aarch64-%,$(TRIPLET)),$(call compiles,-mcmodel=tiny,$(hash)include <stdlib.h>\n$(hash)ifdef __GLIBC__\n$(hash)error\n$(hash)endif))
# (RISC-V: registers are saved and put back by functions of libgcc)
SAVES := $(if $(filter riscv%,$(TRIPLET)),$(call compiles,-msave-restore))
# (what makes code longer although it is to be small: a 30th of the file)
SHORT := $(call compiles,-fno-ipa-cp -fno-jump-tables -fno-thread-jumps -fno-tree-dominator-opts)
# (MIPS16=1: a quarter smaller, for the cores that have it: 24K, 34K, 74K, 1004K and their kin)
HALF := $(if $(MIPS16),$(call compiles,-mips16))
SMALL := -fno-pie -fno-asynchronous-unwind-tables -fno-unwind-tables $(SHORT) $(THUMB) $(TINY) $(SAVES) $(HALF)
FLAGS += -ffunction-sections -fdata-sections -DMEMTRACE_ONE_CPU
ROOM_FLAGS := $(LTO) $(SMALL)
$(O)/src/cli/viewers.o $(O)/src/cli/judge.o $(O)/src/cli/judge_check.o $(addprefix $(O)/src/capture/,program.o exec.o walker_rows.o): \
	ROOM_FLAGS += -DMEMTRACE_SMALL
# (-z norelro: it aligns data to the largest page, up to 64 KB of nothing in the file)
MEMTRACE_LINK := -static -Wl,--gc-sections -Wl,-z,norelro $(if $(LTO),$(LTO) -Os $(SMALL) -ffile-prefix-map=$(CURDIR)=.)
# What --selftest walks is its own target: as other programs are compiled.
$(O)/src/cli/main.o $(O)/src/cli/selftest.o $(O)/src/cli/scenario.o: ROOM_FLAGS := -fno-pie
endif

# To be carried to another machine: names are searched for on its network by default.
ifneq ($(STATIC)$(FOREIGN),)
$(O)/src/cli/server_link.o: ROOM_FLAGS += -DMEMTRACE_SEARCHES
endif

# WITHOUT="looks selftest": parts that a small memtrace leaves out (src/capture/parts.h).
PARTS := agent doctor looks selftest several runtimes
ifneq ($(filter-out $(PARTS),$(WITHOUT)),)
$(error WITHOUT: '$(filter-out $(PARTS),$(WITHOUT))' is not one of: $(PARTS))
endif
space := $(subst ,, )
WITHOUT_SET := $(strip $(WITHOUT))
PART_FLAGS := $(if $(WITHOUT_SET),-DMEMTRACE_WITHOUT='($(subst $(space),|,$(WITHOUT_SET:%=PART_%)))' \
	-DMEMTRACE_WITHOUT_NAMES='"$(subst $(space),$(comma) ,$(WITHOUT_SET))"')
ASK_PARTS := $(patsubst %.c,$(O)/%.o,$(shell grep -l '/parts\.h"' $(wildcard src/*/*.c)))

# libedit for the console, where it links (with STATIC: where its archives are there).
# Asked when a recipe runs, not before: `make deps all` installs it on the way.
EDIT_LIBS = $(shell $(PKG_CONFIG) --libs $(if $(STATIC),--static) libedit 2>/dev/null || echo -ledit)
edit_has = $(shell echo 'int $(1)(void); int main(void) { return $(1)(); }' | \
	$(CC) -x c - $(MEMTRACE_LINK) -o /dev/null $(EDIT_LIBS) 2>/dev/null && echo yes)
EDIT_FLAGS = $(if $(call edit_has,rl_initialize),$(EDIT_LIBS) -DHAVE_LIBEDIT \
	$(if $(call edit_has,rl_copy_text),-DHAVE_RL_COPY_TEXT))
DW_LIBS = $(shell $(PKG_CONFIG) --libs libdw 2>/dev/null || echo -ldw) -lelf

# ---- what is built from what ------------------------------------------------
TARGET_ROOMS := base region agent arch elf unwind heap symbols tracer hook capture report
rwildcard = $(sort $(wildcard $(1)/*.c) $(wildcard $(1)/*/*.c))
TARGET_SRC := $(foreach r,$(TARGET_ROOMS),$(call rwildcard,src/$r))
CLI_SRC := $(call rwildcard,src/cli)
SERVE_SRC := $(call rwildcard,src/serve)
CORE_OBJ := $(TARGET_SRC:%.c=$(O)/%.o) $(O)/src/agent/blob.o $(O)/src/report/export/html_web.o
CLI_OBJ := $(CLI_SRC:%.c=$(O)/%.o)
SERVE_OBJ := $(SERVE_SRC:%.c=$(O)/%.o)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
# PTRACE=no: without the tests that trace, for where nobody may (containers, emulators of user programs).
PTRACE ?= yes
ifeq ($(PTRACE),no)
UNIT_SRC := $(filter-out $(shell grep -lE 'PTRACE_|child_case|traced_case' $(UNIT_SRC)),$(UNIT_SRC))
endif
UNIT_BIN := $(UNIT_SRC:%.c=$(O)/%)

# memtrace-fs is the host's: no host libdw, no memtrace-fs (which memtrace can do without).
ifdef FOREIGN
HAS_LIBDW := $(shell $(HOSTCC) -fsyntax-only -include elfutils/libdw.h -x c /dev/null 2>/dev/null || echo no)
endif

# `make V=1` shows the commands themselves.
say = $(if $(V),,@echo '  $(1) $(@:$(O)/%=%)';)

.PHONY: all
all: $(O)/memtrace $(if $(filter no,$(HAS_LIBDW)),,$(O)/memtrace-fs)

# How the console is built; rewritten, and memtrace with it, only when that changes.
CONSOLE := $(O)/console.flags
$(CONSOLE): FORCE
	@mkdir -p $(O)
	@echo "$(MEMTRACE_LINK) $(EDIT_FLAGS)" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
	@grep -q HAVE_LIBEDIT $@ || echo 'libedit$(if $(STATIC), as an archive): not found; the console has no editing'
.PHONY: FORCE
FORCE:

# (not every toolchain's ar knows what is in objects to be optimised later)
CORE := $(if $(LTO),$(CORE_OBJ),$(O)/libcore.a)
$(O)/memtrace: $(CLI_OBJ) $(CORE) $(CONSOLE)
	$(call say,LINK)$(CC) $(LINK) $(LDFLAGS) -o $@ $(CLI_OBJ) $(CORE) $$(cat $(CONSOLE)) $(SYSTEM_LIBS)

$(O)/src/cli/editing.o: $(CONSOLE)
$(O)/src/cli/editing.o: ROOM_FLAGS = $(LTO) $(SMALL) $(shell grep -o -e '-DHAVE_[A-Z_]*' $(CONSOLE))

ifdef FOREIGN
# The host's own build, by this Makefile.
HOSTCFLAGS ?= -O2 -g
.PHONY: $(O)/host/memtrace-fs
$(O)/host/memtrace-fs:
	+$(MAKE) CC='$(HOSTCC)' CFLAGS='$(HOSTCFLAGS)' LDFLAGS= AR=ar CROSS_COMPILE= SAN= \
		 O=$(O)/host $@
$(O)/memtrace-fs: $(O)/host/memtrace-fs
	ln -f $< $@
else
$(O)/memtrace-fs: $(SERVE_OBJ) $(O)/libcore.a
	$(call say,LINK)$(CC) $(LINK) $(LDFLAGS) -o $@ $^ $(DW_LIBS) -lstdc++ $(SYSTEM_LIBS)
endif

$(O)/libcore.a: $(CORE_OBJ)
	@rm -f $@
	$(call say,AR  )$(AR) rcs $@ $^

# for unit tests
$(O)/libcli.a: $(filter-out %/main.o,$(CLI_OBJ))
	@rm -f $@
	$(call say,AR  )$(AR) rcs $@ $^

$(O)/libserve.a: $(filter-out %/main.o,$(SERVE_OBJ))
	@rm -f $@
	$(call say,AR  )$(AR) rcs $@ $^

$(O)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC  )$(CC) $(FLAGS) $(ANYWHERE) $(ROOM_FLAGS) $(if $(filter $@,$(ASK_PARTS)),$(PART_FLAGS)) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# What is left out, and what asks for it, rewritten only when that changes.
$(ASK_PARTS) $(O)/src/agent/blob.o: $(O)/parts.flags
$(O)/parts.flags: FORCE
	@mkdir -p $(O)
	@echo '$(WITHOUT_SET)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# For another CPU: without memtrace-fs, and CMOCKA says where that CPU's cmocka and libelf are.
CMOCKA ?= -lcmocka
UNIT_LIBS := $(O)/libcli.a $(if $(FOREIGN),,$(O)/libserve.a) $(O)/libcore.a
# (its own code ends with a page of its own: see nameless())
$(O)/tests/unit/test_hooks: UNIT_LINK := -Wl,-z,separate-code
$(O)/tests/unit/%: tests/unit/%.c $(UNIT_LIBS)
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(FLAGS) $(CFLAGS) -Itests/unit -MMD -MP $(LINK) $(UNIT_LINK) -o $@ $< $(UNIT_LIBS) $(CMOCKA) $(if $(FOREIGN),,$(DW_LIBS) -lstdc++) $(SYSTEM_LIBS)

-include $(CORE_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(SERVE_OBJ:.o=.d) $(UNIT_BIN:=.d)

# ---- the agent: what is mapped into a target, within memtrace (src/agent/blob.h) ------------
# One piece that needs nothing, whatever the rest is built with; CPUs without an entry have none.
BLOB_CPU := $(if $(filter -m32 -mx32,$(CC) $(CFLAGS)),,$(firstword $(subst -, ,$(TRIPLET))))
BLOB_ENTRY := $(if $(filter agent,$(WITHOUT)),,$(wildcard src/agent/$(BLOB_CPU)/*.S))
BLOB_SRC := src/agent/agent.c src/agent/alone.c src/agent/choice.c src/agent/pending.c src/agent/remembered.c $(addprefix src/region/,shared.c known.c live.c interned.c counters.c sample.c)
BLOB_OBJ := $(BLOB_SRC:src/%.c=$(O)/blob/%.o) $(BLOB_ENTRY:src/%.S=$(O)/blob/%.o)
BLOB_FLAGS = -std=gnu11 -Isrc -O2 -ffreestanding -fPIE -fvisibility=hidden -mgeneral-regs-only \
	     -fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -g1 \
	     -fno-strict-aliasing -fno-tree-loop-distribute-patterns -ffunction-sections $(WARNINGS) \
	     $(BLOB_FLAGS_$(BLOB_CPU))
BLOB_FLAGS_x86_64 := -fcf-protection=none -mstringop-strategy=unrolled_loop
# (outline atomics are functions of libgcc's; x18 the entry does not save)
BLOB_FLAGS_aarch64 := -mbranch-protection=none -mno-outline-atomics -ffixed-x18 -fomit-frame-pointer \
	-fno-align-functions -fno-align-loops -fno-align-jumps
# (small: without T32, as before ARMv6T2, it would be 20 KB)
BLOB_FLAGS_arm := -Os -fno-align-functions -fno-align-loops -fno-align-jumps
# (whole pages of whatever size: src/agent/blob.h)
BLOB_BYTES_x86_64 := 16384
BLOB_BYTES_arm := 20480
BLOB_BYTES_aarch64 := 65536
# As one program, inlined: it takes a sixth less time.  (Other compilers than gcc: file by file.)
BLOB_INLINE_x86_64 := -finline-limit=300 --param large-function-growth=400 --param inline-unit-growth=200
BLOB_WHOLE := $(if $(BLOB_ENTRY),$(if $(findstring clang,$(shell $(CC) --version)),,-flto -frandom-seed=agent \
	$(BLOB_INLINE_$(BLOB_CPU))))
BLOB_PARTS = $(if $(BLOB_WHOLE),$(O)/blob/whole.o $(BLOB_ENTRY:src/%.S=$(O)/blob/%.o),$(BLOB_OBJ))
tool = $(shell $(CC) -print-prog-name=$(1))

# (what it is built with is a part of what it is)
$(BLOB_OBJ): Makefile
$(O)/blob/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,BLOB)$(CC) $(BLOB_FLAGS) $(BLOB_WHOLE) -MMD -MP -c -o $@ $<

$(O)/blob/whole.o: $(BLOB_SRC:src/%.c=$(O)/blob/%.o)
	$(call say,BLOB)$(CC) $(BLOB_FLAGS) $(BLOB_WHOLE) -r -nostdlib -flinker-output=nolto-rel -o $@ $^

$(O)/blob/%.o: src/%.S
	@mkdir -p $(@D)
	$(call say,BLOB)$(CC) -c -o $@ $<

# (string instructions go by the direction flag, which is the program's)
$(O)/blob/agent.elf: $(BLOB_PARTS) src/agent/blob.ld
	$(call say,BLOB)$(call tool,ld) -pie --no-dynamic-linker -z text --gc-sections --build-id=none \
		--defsym=BLOB_BYTES=$(BLOB_BYTES_$(BLOB_CPU)) -T src/agent/blob.ld -o $@ $(BLOB_PARTS)
	@if $(call tool,objdump) -d $@ | grep -E '\<(rep|movs[bwlq]|stos[bwlq]?|xmm[0-9]) '; then rm $@; false; fi

$(O)/blob/agent.bin: $(O)/blob/agent.elf
	$(call say,BLOB)$(call tool,objcopy) --dump-section .debug_frame=$(@:.bin=.frames) $< && \
		$(call tool,objcopy) -O binary -j .blob $< $@

$(O)/src/agent/blob.o: src/agent/blob.S $(if $(BLOB_ENTRY),$(O)/blob/agent.bin)
	@mkdir -p $(@D)
	$(call say,CC  )$(CC) $(ANYWHERE) $(CFLAGS) -c $(if $(BLOB_ENTRY),-DBLOB='"$(O)/blob/agent.bin"' -DBLOB_FRAMES='"$(O)/blob/agent.frames"') -o $@ $<

-include $(BLOB_OBJ:.o=.d)

# What --format=html has of a browser's languages, as bytes: made in web/ and kept, so that this needs no node.
WEB := $(addprefix web/dist/page.,css css.sha256 js js.sha256)
$(O)/src/report/export/html_web.o: src/report/export/html_web.S $(WEB)
	@mkdir -p $(@D)
	$(call say,CC  )$(CC) $(ANYWHERE) $(CFLAGS) -c -o $@ $<

# ---- programs to trace, and what looks at them from outside ------------------
TARGET_FLAGS := -g -O2 -fno-builtin -Wall -Wextra -D_GNU_SOURCE -pthread
TARGET_BIN := $(patsubst %.c,$(O)/%,$(filter-out %plugin.c %_preload.c %splitstack.c %stackswitch.c %sanitized.c,$(wildcard tests/targets/*.c))) \
	      $(patsubst %.cc,$(O)/%,$(wildcard tests/targets/*.cc))
TARGET_SO := $(addprefix $(O)/tests/targets/,plugin_a.so plugin_b.so) \
	     $(patsubst %.c,$(O)/%.so,$(wildcard tests/targets/*_preload.c))
# The same programs, built as people build them.
KINDS := threads-static threads-static-pie threads-nopie threads-stripped operators-static \
	 hugify-static homonyms-static heap_list-static mapper-static
OTHER_LINKER := $(firstword $(foreach l,lld gold,$(if $(shell command -v ld.$l),$l)))
KINDS += $(OTHER_LINKER:%=threads-lld)
ifneq ($(filter x86_64-%,$(TRIPLET)),) # gcc's -fsplit-stack is of few CPUs
KINDS += splitstack stackswitch
# Allocators by hand, see bump_alloc.S.
TARGET_SO += $(patsubst %,$(O)/tests/targets/alloc_%.so,plain textrel covered short branch table switch falls lands alike)
endif
ifneq ($(wildcard $(shell $(CC) -print-file-name=liblsan.so)),)
KINDS += sanitized-leak sanitized-address
endif
ifneq ($(shell command -v musl-gcc),)
KINDS += threads-musl threads-musl-static heap_list-musl heap_churn-musl-static heap_list-musl-static mapper-musl
endif
ifneq ($(shell command -v rustc),)
KINDS += leaky
endif
TARGETS := $(TARGET_BIN) $(TARGET_SO) $(KINDS:%=$(O)/tests/targets/%)

$(O)/tests/targets/threads-%: tests/targets/threads.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(KIND_CC) -std=gnu11 $(TARGET_FLAGS) -o $@ $< $(KIND_FLAGS)
$(O)/tests/targets/hugify-static: tests/targets/hugify.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -static -o $@ $<
$(O)/tests/targets/heap_list-%: tests/targets/heap_list.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(KIND_CC) -std=gnu11 $(TARGET_FLAGS) -o $@ $< $(KIND_FLAGS)
$(O)/tests/targets/heap_churn-%: tests/targets/heap_churn.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(KIND_CC) -std=gnu11 $(TARGET_FLAGS) -o $@ $< $(KIND_FLAGS)
$(O)/tests/targets/mapper-%: tests/targets/mapper.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(KIND_CC) -std=gnu11 $(TARGET_FLAGS) -o $@ $< $(KIND_FLAGS)
$(O)/tests/targets/homonyms-static: tests/targets/homonyms.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -static -o $@ $<
$(O)/tests/targets/splitstack: tests/targets/splitstack.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -fsplit-stack -fno-optimize-sibling-calls -o $@ $<
$(O)/tests/targets/sanitized-%: tests/targets/sanitized.c tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -fsanitize=$* -o $@ $<
$(O)/tests/targets/operators-static: tests/targets/operators.cc tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CXX) -std=gnu++17 $(TARGET_FLAGS) -static -o $@ $<
$(O)/tests/targets/leaky: tests/targets/leaky.rs
	@mkdir -p $(@D)
	$(call say,LINK)env -u MAKEFLAGS -u MFLAGS rustc -g -O -o $@ $<
%/threads-static %/threads-static-pie %/threads-nopie %/threads-stripped: KIND_CC = $(CC)
%/threads-lld: KIND_CC = $(CC) -fuse-ld=$(OTHER_LINKER)
%/threads-musl %/threads-musl-static %/heap_list-musl %/heap_list-musl-static %/mapper-musl %/heap_churn-musl-static: KIND_CC = musl-gcc
%/heap_list-static %/mapper-static: KIND_CC = $(CC)
%/heap_list-static %/heap_list-musl-static %/heap_churn-musl-static %/mapper-static: KIND_FLAGS = -static
%/threads-static %/threads-musl-static: KIND_FLAGS = -static
%/threads-static-pie: KIND_FLAGS = -static-pie
%/threads-nopie: KIND_FLAGS = -no-pie
%/threads-stripped: KIND_FLAGS = -s

$(O)/tests/targets/%: tests/targets/%.c tests/targets/target.h tests/targets/filter.h tests/targets/probe.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -rdynamic -o $@ $< $(SYSTEM_LIBS)
$(O)/tests/targets/%: tests/targets/%.cc tests/targets/target.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CXX) -std=gnu++17 $(TARGET_FLAGS) -rdynamic -o $@ $<
$(O)/tests/targets/recorder_preload.so: tests/targets/recorder.h
$(O)/tests/targets/%_preload.so: tests/targets/%_preload.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -fPIC -shared -o $@ $<
$(O)/tests/targets/plugin_%.so: tests/targets/plugin.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -DPLUGIN="'$*'" -fPIC -shared -o $@ $<

$(O)/tests/targets/alloc_alike.so: STRIP := -s
$(O)/tests/targets/alloc_%.so: tests/targets/bump_alloc.S
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -shared -nostdlib -Wl,-z,notext $(STRIP) -D$(shell echo $* | tr a-z A-Z) -o $@ $<

# The oracle of stacks (elfutils), and the recorder that tries it out (libunwind).
E2E_BIN := $(O)/tests/e2e/stack_oracle $(O)/tests/e2e/kill_at $(O)/tests/e2e/heap_oracle
ifeq ($(shell $(PKG_CONFIG) --exists libunwind-ptrace 2>/dev/null && echo yes),yes)
E2E_BIN += $(O)/tests/e2e/stack_recorder
endif
$(O)/tests/e2e/stack_oracle: TOOL_LIBS = $(DW_LIBS)
$(O)/tests/e2e/stack_recorder: TOOL_LIBS = $(shell $(PKG_CONFIG) --libs libunwind-ptrace)
# (heap/leak/ without memtrace: see there)
$(O)/tests/e2e/heap_oracle: $(O)/libcore.a tests/targets/recorder.h
$(O)/tests/e2e/heap_oracle: TOOL_LIBS = -Isrc $(O)/libcore.a
$(O)/tests/e2e/%: tests/e2e/%.c tests/e2e/record.h
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 -g -O2 -Wall -Wextra -D_GNU_SOURCE -o $@ $< $(TOOL_LIBS) $(SYSTEM_LIBS)

# ---- checks -----------------------------------------------------------------
.PHONY: check check-floors check-circles check-web check-unit check-e2e
check: check-floors check-circles check-unit check-e2e

# (the packages that it needs are those of web/package-lock.json, in $(O)/web)
check-web:
	scripts/web.sh check $(O)/web

## make web           web/dist, what the page of --format=html is made of, from web/src: needs npm
.PHONY: web
web:
	scripts/web.sh make $(O)/web

check-floors:
	scripts/floors.py

# (of what is built: the symbols tell who calls whom)
check-circles: all
	scripts/circles.py $(O)

## make check-lint    clang's static analyser, and a few checks of clang-tidy (.clang-tidy): minutes,
##                    so no part of check
CLANG_TIDY ?= clang-tidy
LINT := $(patsubst %,lint-%,$(TARGET_SRC) $(CLI_SRC) $(SERVE_SRC))
.PHONY: check-lint $(LINT)
check-lint: $(LINT)
$(LINT): lint-%:
	$(call say,LINT)$(CLANG_TIDY) --quiet $* -- $(FLAGS) 2>/dev/null

check-unit: $(UNIT_BIN)
	@failed=0; for t in $(UNIT_BIN); do echo "== $$t"; O=$(O) $$t || failed=1; done; exit $$failed

# (by a make of its own: `make deps check` has installed compilers on the way)
.PHONY: e2e-programs
e2e-programs: $(TARGETS) $(E2E_BIN)

# Two files of tests at once: most of the time each waits; the longest first.  (Asked when a recipe runs: `make deps check`
# may have installed it on the way.)
JOBS ?= 2
AT_ONCE = $(PYTHON) -c 'import xdist' 2>/dev/null && echo '-n $(JOBS) --dist loadfile'
E2E_DIRS := tests/offline $(if $(filter no,$(PTRACE)),,tests/e2e tests/console tests/verdict)
check-e2e: all $(if $(filter no,$(PTRACE)),,check-web)
	+@$(if $(filter no,$(PTRACE)),,$(MAKE) --no-print-directory e2e-programs)
	O=$(abspath $(O)) $(PYTHON) -m pytest -q -p no:cacheprovider $$($(AT_ONCE)) $(wildcard $(E2E_DIRS))

## make check-distros builds and runs a short list of tests in other releases of Debian, which
##                    debootstrap puts into $(O)/distros (as root; DISTROS="bullseye trixie")
DISTROS ?= bullseye bookworm
.PHONY: check-distros
check-distros:
	scripts/distros.sh $(O)/distros $(DISTROS)

## make mutants      breaks the code on purpose, a small change at a time, and sees tests notice
.PHONY: mutants
mutants:
	scripts/mutants.py --build=$(O) $(MUTANTS)

# ---- long runs and figures --------------------------------------------------
.PHONY: soak bench
soak: all $(TARGETS) $(E2E_BIN)
	O=$(abspath $(O)) $(PYTHON) -m pytest -q -p no:cacheprovider tests/soak

$(O)/tests/bench/walk_ns: tests/bench/walk_ns.c $(O)/libcore.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(FLAGS) $(CFLAGS) $(LINK) -o $@ $< $(O)/libcore.a $(SYSTEM_LIBS)

$(O)/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -std=gnu11 $(TARGET_FLAGS) -o $@ $<

bench: all $(TARGETS) $(O)/tests/bench/ptrace_limit $(O)/tests/bench/walk_ns $(O)/tests/bench/heap_fill $(O)/tests/bench/forks
	$(O)/tests/bench/walk_ns
	O=$(abspath $(O)) $(PYTHON) tests/bench/bench.py
	O=$(abspath $(O)) $(PYTHON) tests/bench/bench_names.py
	O=$(abspath $(O)) $(PYTHON) tests/bench/bench_heap.py
	O=$(abspath $(O)) $(PYTHON) tests/bench/bench_programs.py

.PHONY: clean help
clean:
	rm -rf $(O)

include scripts/install.mk scripts/fuzz.mk scripts/cross.mk

help: ## what there is to make
	@echo 'make               memtrace and memtrace-fs into $(O)/'
	@grep -hE '^## ' Makefile scripts/*.mk | sed 's/^## //'
## make clean         removes the build folder
## make check         all tests (make check-floors, check-circles, check-unit, check-fuzz, check-e2e: a part;
##                    PTRACE=no: those that trace nobody; JOBS=1: one end-to-end test at a time)
## make soak          the long runs: 1000 kills and cycles each (COUNT=N: another number)
## make bench         what memtrace costs here: per malloc+free pair, pauses, memory
## make O=DIR         another build folder
## make V=1           the commands, not their names
## make STATIC=1      memtrace as one static file (WITHOUT="agent doctor looks selftest several runtimes", or some
##                    of them: a smaller one, without the code that counts within the process,
##                    --doctor, looks for leaks but by another machine's memtrace-fs, --selftest,
##                    several processes at once and --follow, perf maps and jitdump)
## make CC=arm-linux-gnueabihf-gcc   for another CPU, into build-arm-linux-gnueabihf/;
##                    memtrace-fs stays the host's (HOSTCC); also CROSS_COMPILE=PREFIX-
## make CC=musl-gcc STATIC=1   one file of some 610 KB, stripped (MIPS: MIPS16=1 for cores that have that)
## make SAN=address,undefined check    everything under sanitizers
