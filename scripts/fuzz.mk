# Fuzzing: libFuzzer with clang (make fuzz), and its corpora run again with any compiler
# (make check-fuzz, a part of make check).
CLANG ?= clang
FUZZ_SECONDS ?= 60
FUZZ_FLAGS := $(filter-out -fno-sanitize-recover=all,$(FLAGS)) -O1 -g \
	      -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(FUZZ_NAMES:%=$(O)/fuzz/fuzz-%)
REPLAY_BIN := $(FUZZ_NAMES:%=$(O)/fuzz/replay-%)
# Of memtrace-fs only what needs no library.
FUZZ_SRC := $(foreach r,base region agent arch elf unwind heap symbols tracer report,$(call rwildcard,src/$r)) \
	    src/serve/http_request.c src/serve/dwp_index.c src/capture/jit_objects.c
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(O)/fuzz/%.o)

.PHONY: fuzz check-fuzz
fuzz: $(FUZZ_NAMES:%=fuzz-%)

.PHONY: $(FUZZ_NAMES:%=fuzz-%)
$(FUZZ_NAMES:%=fuzz-%): fuzz-%: $(O)/fuzz/fuzz-%
	@mkdir -p $(O)/fuzz/corpus/$*
	$< -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
		-verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(O)/fuzz/crash-$*- $(O)/fuzz/corpus/$* tests/fuzz/corpus/$*

$(O)/fuzz/fuzz-%: tests/fuzz/fuzz_%.c $(O)/fuzz/libcore.a
	$(call say,LINK)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -MMD -MP -o $@ $< $(O)/fuzz/libcore.a

$(O)/fuzz/libcore.a: $(FUZZ_OBJ)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(O)/fuzz/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CLANG)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

check: check-fuzz
check-fuzz: $(REPLAY_BIN)
	@failed=0; for n in $(FUZZ_NAMES); do \
		$(O)/fuzz/replay-$$n tests/fuzz/corpus/$$n || failed=1; done; exit $$failed

$(O)/fuzz/replay-%: tests/fuzz/fuzz_%.c $(O)/fuzz/replay.o $(O)/src/serve/http_request.o $(O)/src/serve/dwp_index.o $(O)/libcore.a
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(FLAGS) $(CFLAGS) -MMD -MP $(LINK) -o $@ $< $(filter %.o,$^) $(O)/libcore.a

$(O)/fuzz/replay.o: tests/fuzz/replay.c tests/fuzz/fuzz.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(FLAGS) $(CFLAGS) -c -o $@ $<

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_BIN:=.d) $(REPLAY_BIN:=.d)

## make fuzz          look for inputs that crash, FUZZ_SECONDS=60 for each target (clang)
