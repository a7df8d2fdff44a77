# Installing, dependencies and the demo.

## make deps          installs what the build needs (make deps check: the tests' needs too)
# One after the other when deps is among the goals, also with -j: the rest needs it.
ifneq ($(filter deps,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
.PHONY: deps
deps:
	@scripts/deps.sh $(if $(filter check check-unit check-e2e check-fuzz soak bench,$(MAKECMDGOALS)),check) \
		$(if $(filter check-cross,$(MAKECMDGOALS)),cross)

## make demo          shows memtrace on a small program that leaks
.PHONY: demo
$(O)/demo/%: demo/%.c
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) -g -Wall -o $@ $<

demo: all $(O)/demo/leak
	@echo
	$(O)/memtrace -q $(O)/demo/leak

## make install       into DESTDIR and PREFIX (default /usr/local), both programs; make uninstall
## make install-memtrace, install-memtrace-fs      one of them, which is all that is built
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1
BASH_DIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_DIR = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISH_DIR = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
PROGRAMS := memtrace memtrace-fs

.PHONY: install uninstall $(PROGRAMS:%=install-%)
install: $(if $(filter no,$(HAS_LIBDW)),install-memtrace,$(PROGRAMS:%=install-%))
$(PROGRAMS:%=install-%): install-%: $(O)/%
	install -d $(BIN_DIR) $(MAN_DIR) $(BASH_DIR) $(ZSH_DIR) $(FISH_DIR)
	install -m 755 $(O)/$* $(BIN_DIR)
	install -m 644 doc/$*.1 $(MAN_DIR)
	install -m 644 completions/$*.bash $(BASH_DIR)/$*
	install -m 644 completions/_$* $(ZSH_DIR)
	install -m 644 completions/$*.fish $(FISH_DIR)

uninstall:
	rm -f $(foreach p,$(PROGRAMS),$(BIN_DIR)/$p $(MAN_DIR)/$p.1 $(BASH_DIR)/$p $(ZSH_DIR)/_$p $(FISH_DIR)/$p.fish)

## make dist          the last commit as $(O)/memtrace-VERSION.tar.gz, the same bytes each time
DIST = $(O)/memtrace-$(VERSION).tar.gz
.PHONY: dist
dist:
	@mkdir -p $(O)
	git archive --format=tar --prefix=memtrace-$(VERSION)/ HEAD >$(O)/dist.tar
	gzip -9n <$(O)/dist.tar >$(DIST) && rm $(O)/dist.tar
	@echo $(DIST)

## make deb           Debian packages of the last commit, into $(O)/deb (packaging/debian)
.PHONY: deb
deb: dist
	scripts/deb.sh $(DIST) $(VERSION) $(O)/deb

## make check-debs    builds them, has lintian look at them, and runs their tests in bare systems of
##                    Debian 12 and 13 (as root, by debootstrap; DEB_SUITES=trixie)
DEB_SUITES ?= bookworm trixie
.PHONY: check-debs
check-debs: deb
	lintian --allow-root --fail-on=error,warning $(O)/deb/memtrace_*.changes
	scripts/check-debs.sh $(O)/deb $(O)/distros $(DEB_SUITES)
