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

## make install       into DESTDIR and PREFIX (default /usr/local); make uninstall
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1
SHARE_DIR = $(DESTDIR)$(PREFIX)/share
INSTALLED = $(BIN_DIR)/memtrace $(BIN_DIR)/memtrace-fs \
	$(patsubst doc/%,$(MAN_DIR)/%,$(wildcard doc/*.1)) \
	$(patsubst completions/%.bash,$(SHARE_DIR)/bash-completion/completions/%,$(wildcard completions/*.bash)) \
	$(patsubst completions/%,$(SHARE_DIR)/zsh/site-functions/%,$(wildcard completions/_*)) \
	$(patsubst completions/%,$(SHARE_DIR)/fish/vendor_completions.d/%,$(wildcard completions/*.fish))

.PHONY: install uninstall
install: all
	install -d $(sort $(dir $(INSTALLED)))
	install -m 755 $(O)/memtrace $(O)/memtrace-fs $(BIN_DIR)
	install -m 644 $(wildcard doc/*.1) $(MAN_DIR)
	for each in memtrace memtrace-fs; do \
		install -m 644 completions/$$each.bash \
			$(SHARE_DIR)/bash-completion/completions/$$each || exit; done
	install -m 644 $(wildcard completions/_*) $(SHARE_DIR)/zsh/site-functions
	install -m 644 $(wildcard completions/*.fish) $(SHARE_DIR)/fish/vendor_completions.d

uninstall:
	rm -f $(INSTALLED)
