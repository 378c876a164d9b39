# SPDX-License-Identifier: GPL-2.0-or-later
# One file, not recursive. Output goes to $(BUILD). `make help` lists targets.

SAN     ?=
BUILD   ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
CC      ?= gcc
CXX     ?= g++
OBJCOPY ?= objcopy
V       ?= 0
WERROR  ?= 1
PREFIX  ?= /usr/local
comma   := ,

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

PKGS     := liburing libseccomp libcap-ng libelf jansson libssl libcrypto
PKG_CF   := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

WARN_ALL := -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wundef \
	-Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wvla -Wswitch-enum
WARN_C   := $(WARN_ALL) -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition
ifeq ($(WERROR),1)
WARN_C += -Werror
endif
OPT      := -O2 -g
HARDEN   := -fPIE -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
	-fno-sanitize-recover=undefined)
# No C function is ever unwound: exceptions stay in the one C++ file, debuggers have -g.
NO_TABLES := $(if $(SAN),,-fno-unwind-tables -fno-asynchronous-unwind-tables)
CPPFLAGS += -D_GNU_SOURCE -I. -I$(BUILD) -DCSVVMM_SANITIZED=$(if $(SAN),1,0) $(PKG_CF)
CFLAGS_  := -std=c11 $(OPT) $(WARN_C) $(HARDEN) $(SANFLAGS) $(NO_TABLES) $(CFLAGS)
CXXFLAGS_ := -std=c++17 $(OPT) $(WARN_ALL) $(HARDEN) $(SANFLAGS) $(CXXFLAGS)
LDFLAGS_ := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed \
	-Wl,--gc-sections $(SANFLAGS) $(LDFLAGS)
LIBS     := $(PKG_LIBS) -lpthread

LIB_SRC  := $(filter-out vmm/main.c,$(wildcard core/*.c devices/*.c \
	migration/*.c psp/*.c vmm/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) \
	$(patsubst %.cc,$(BUILD)/%.o,$(wildcard vmm/*.cc))
LIB      := $(BUILD)/libcsvvmm.a
BENCH    := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*_test.c))
GUESTS   := $(patsubst tests/guest/%.c,$(BUILD)/guest/%.elf,$(wildcard tests/guest/*.c))
C_FILES  := $(wildcard core/*.[ch] devices/*.[ch] migration/*.[ch] psp/*.[ch] \
	shim/*.[ch] vmm/*.[ch] tests/unit/*.[ch] tests/guest/*.[ch] tests/fuzz/*.[ch] tests/bench/*.[ch])

.PHONY: all
all: $(BUILD)/csvvmm ## build csvvmm (the default)

$(BUILD)/csvvmm: $(BUILD)/vmm/main.o $(LIB)
	$(say) LINK $@
	$(Q)$(CXX) $(LDFLAGS_) -o $@ $^ $(LIBS)

$(LIB): $(LIB_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c Makefile
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_) -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.cc Makefile
	$(say) CXX $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS_) -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

# Templates of toml++: half the size for no loss that a user could see.
$(BUILD)/vmm/config_toml.o: CXXFLAGS_ += -Os

# The DSDT is written in ASL and compiled by ACPICA's iasl into a C array.
$(BUILD)/vmm/acpi_dsdt.h: vmm/dsdt.asl
	$(say) IASL $<
	$(Q)mkdir -p $(@D)
	$(Q)iasl -vi -vs -oa -tc -p $(BUILD)/vmm/dsdt $< >$(BUILD)/vmm/dsdt.log 2>&1 || \
		{ cat $(BUILD)/vmm/dsdt.log; exit 1; }
	$(Q)sed -e 's/^unsigned char [A-Za-z0-9_]*\[\]/static const unsigned char dsdt_aml_code[]/' $(BUILD)/vmm/dsdt.hex >$@
$(BUILD)/vmm/acpi.o: $(BUILD)/vmm/acpi_dsdt.h

# The first code of an encrypted guest: freestanding, at a fixed address, one page; into a C array.
SHIM_CF := -std=c11 -Os -ffreestanding -fno-stack-protector -fno-pic -no-pie -mno-red-zone -mgeneral-regs-only \
	-fno-asynchronous-unwind-tables -fcf-protection=none $(WARN_C) -I.
SHIM_OBJ := $(patsubst shim/%,$(BUILD)/shim/%.o,$(wildcard shim/*.c shim/*.S))
$(BUILD)/shim/%.o: shim/% $(wildcard shim/*.h) Makefile
	$(say) SHIM $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SHIM_CF) -c -o $@ $<
$(BUILD)/shim/shim.elf: $(SHIM_OBJ) shim/shim.ld
	$(say) LINK $@
	$(Q)$(LD) -T shim/shim.ld --build-id=none -z noexecstack -o $@ $(SHIM_OBJ)
$(BUILD)/vmm/shim_image.h: $(BUILD)/shim/shim.elf
	$(Q)mkdir -p $(@D)
	$(Q)$(OBJCOPY) -O binary $< $(BUILD)/shim/shim.bin
	$(Q){ echo 'static const unsigned char shim_image[] = {'; od -An -v -tx1 $(BUILD)/shim/shim.bin | \
		sed 's/ \(..\)/0x\1,/g'; echo '};'; } >$@
$(BUILD)/vmm/boot_shim.o: $(BUILD)/vmm/shim_image.h

# --- tests -----------------------------------------------------------------

$(BUILD)/unit/%: tests/unit/%.c $(LIB)
	$(say) TEST $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_) -MMD -MP -c -o $@.o $<
	$(Q)$(CXX) $(LDFLAGS_) -o $@ $@.o $(LIB) -lcmocka $(LIBS)

$(BUILD)/bench/%: tests/bench/%.c $(LIB)
	$(say) BENCH $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS_) -MMD -MP -c -o $@.o $<
	$(Q)$(CXX) $(LDFLAGS_) -o $@ $@.o $(LIB) $(LIBS)

# Tiny freestanding guests for tier 2: one C file each, no libc, no SSE.
GUEST_CF := -std=c11 -O2 -g -ffreestanding -fno-stack-protector -fno-pic -no-pie \
	-mno-red-zone -mgeneral-regs-only -mcmodel=kernel -fno-asynchronous-unwind-tables \
	-fcf-protection=none -Wall -Wextra -Werror
$(BUILD)/guest/%.elf: tests/guest/%.c tests/guest/start.S tests/guest/guest.ld $(wildcard tests/guest/*.h shim/*.h)
	$(say) GUEST $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(subst -mcmodel=kernel,-mcmodel=small,$(GUEST_CF)) -nostdlib -static -Wl,--build-id=none \
		-I. -T tests/guest/guest.ld -o $@ tests/guest/start.S $<

.PHONY: tests-build
tests-build: $(BUILD)/csvvmm $(UNIT) $(GUESTS)

.PHONY: bench-build
bench-build: $(BENCH)

.PHONY: check
check: deps-check ## run every test that this machine can run (T=word: some; SAN=address,undefined)
	$(Q)$(MAKE) --no-print-directory tests-build
	$(Q)BUILD=$(BUILD) SAN=$(SAN) tests/run $(T)

.PHONY: soak
soak: deps-check ## full matrices and repeat counts (long, resumable; T=word: some)
	$(Q)$(MAKE) --no-print-directory tests-build
	$(Q)BUILD=$(BUILD) SAN=$(SAN) tests/soak $(T)

.PHONY: demo
demo: deps-demo ## boot an unmodified Debian kernel under csvvmm
	$(Q)$(MAKE) --no-print-directory all
	$(Q)BUILD=$(BUILD) tests/demo

.PHONY: bench
bench: deps-check ## print sizes, counts and ratios
	$(Q)$(MAKE) --no-print-directory tests-build bench-build
	$(Q)BUILD=$(BUILD) tests/bench/run

# --- care ------------------------------------------------------------------

.PHONY: deps
deps: ## install what the build and the tests need (apt; prints the line if not root)
	$(Q)tests/deps

# What one target needs, installed when missing. The targets above then call
# make again: pkg-config is asked when the Makefile is read.
.PHONY: deps-check deps-demo deps-lint deps-fuzz deps-lab
deps-check:
	$(Q)tests/deps --quiet build test
deps-demo:
	$(Q)tests/deps --quiet build
deps-lint:
	$(Q)tests/deps --quiet build test lint
deps-fuzz:
	$(Q)tests/deps --quiet build fuzz
deps-lab:
	$(Q)tests/deps --quiet build lab

.PHONY: lint
lint: deps-lint ## include direction, sizes, SPEC, cppcheck, clang-tidy, shellcheck, man pages
	$(Q)BUILD=$(BUILD) CPPFLAGS='$(CPPFLAGS)' tests/lint/run

.PHONY: format
format: ## clang-format the tree
	$(Q)clang-format -i $(C_FILES)

.PHONY: format-check
format-check:
	$(Q)clang-format --dry-run -Werror $(C_FILES)

FUZZ_CF := -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
$(BUILD)/fuzz/%: tests/fuzz/%.c $(LIB_SRC) $(wildcard core/*.h devices/*.h migration/*.h vmm/*.h vmm/*.cc) \
		$(BUILD)/vmm/acpi_dsdt.h $(BUILD)/vmm/shim_image.h Makefile
	$(say) FUZZ $@
	$(Q)mkdir -p $(@D)
	$(Q)CPPFLAGS='$(CPPFLAGS)' LIBS='$(LIBS)' tests/fuzz/build $< $@

.PHONY: fuzz
fuzz: deps-fuzz ## run one fuzz target: make fuzz T=virtq TIME=600
	$(Q)$(MAKE) --no-print-directory $(BUILD)/fuzz/$(T)_fuzz
	$(Q)BUILD=$(BUILD) tests/fuzz/go $(T) $(or $(TIME),600)

.PHONY: lab
lab: deps-lab ## build the lab (kernel, QEMU, test guest, selftests) into the cache; prints the time split
	$(Q)lab/build

.PHONY: bump
bump: ## move the pinned Debian source versions to the newest
	$(Q)lab/bump

.PHONY: install
install: all ## install program, man pages, completion (PREFIX, DESTDIR)
	install -D -m 755 -s $(BUILD)/csvvmm $(DESTDIR)$(PREFIX)/bin/csvvmm
	install -D -m 644 docs/csvvmm.1 $(DESTDIR)$(PREFIX)/share/man/man1/csvvmm.1
	install -D -m 644 docs/csvvmm.toml.5 $(DESTDIR)$(PREFIX)/share/man/man5/csvvmm.toml.5
	install -D -m 644 docs/csvvmm.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/csvvmm

.PHONY: clean
clean: ## remove build output (the lab's cache stays)
	rm -rf build build-*

.PHONY: help
help: ## this list
	$(Q)sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(BUILD)/vmm/main.d $(UNIT:%=%.d)
