# Socle. Non-recursive; wildcards find new folders, so a new service needs no edit here.
#   make run | test | test-long | bench | lint | rows | sbom | deb | new-service NAME=x | fuzz NAME=x
CC      ?= gcc
BUILD   ?= build
PORT    ?= 8080
DATA    ?= var
VERSION := 0.1.0

SRC   := $(sort $(wildcard src/*/*.c src/core/*/*.c src/commons/*/*.c services/*/*.c demo/*.c))
UNITS := $(filter %_test.c,$(SRC))
FUZZ  := $(filter %_fuzz.c,$(SRC))
LIB   := $(filter-out $(UNITS) $(FUZZ),$(SRC)) $(BUILD)/gen/assets.c $(BUILD)/gen/services.c $(BUILD)/gen/faults.c
MAIN  := src/main.c

LIBS  := -lcurl -lssl -lcrypto -lsqlite3 -lpq -ljansson -lyaml -largon2 -lcares -lseccomp -lxml2 -loath -lqrencode -lpcre2-8 -lz -lpthread -lm
CSTD  := -std=c11 -D_GNU_SOURCE -DSOCLE_VERSION='"$(VERSION)"' -Isrc -I. -I/usr/include/libxml2 \
         -I/usr/include/postgresql -include src/base/banned.h
WARN  := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
HARD  := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fno-strict-aliasing -fno-omit-frame-pointer
REL   := $(CSTD) $(WARN) $(HARD) -O2 -g
SAN   := $(CSTD) $(WARN) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
         -fno-sanitize-recover=undefined -DSOCLE_DEBUG
LINK  := -pie -Wl,-z,relro,-z,now -Wl,--as-needed

objs   = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2))
REL_O := $(call objs,rel,$(LIB))
SAN_O := $(call objs,san,$(LIB))
UNIT_BIN := $(patsubst %.c,$(BUILD)/unit/%,$(UNITS))
FUZZ_BIN := $(patsubst %.c,$(BUILD)/fuzz/%,$(FUZZ))

all: $(BUILD)/socle

$(BUILD)/socle: $(REL_O) $(BUILD)/rel/$(MAIN:.c=.o)
	@mkdir -p $(@D)
	$(CC) $(REL) -o $@ $^ $(LINK) $(LIBS)

$(BUILD)/socle-san: $(SAN_O) $(BUILD)/san/$(MAIN:.c=.o)
	@mkdir -p $(@D)
	$(CC) $(SAN) -o $@ $^ $(LIBS)

$(BUILD)/rel/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(REL) -MMD -MP -c -o $@ $<

$(BUILD)/san/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(SAN) -MMD -MP -c -o $@ $<

# Files compiled into the program, and the tables made from what folders exist.
ASSETS := $(sort $(shell find src services demo -type f \
          \( -path '*/pages/*' -o -path '*/text/*' -o -path '*/forms/*' -o -path '*/registers/*' \
          -o -path '*/static/*' -o -path 'demo/data/*' -o -name service.json \) 2>/dev/null))
$(BUILD)/gen/assets.c: tools/assets.sh $(ASSETS)
	@mkdir -p $(@D)
	sh tools/assets.sh $(ASSETS) > $@.tmp && mv $@.tmp $@
$(BUILD)/gen/services.c: tools/services.sh $(SRC)
	@mkdir -p $(@D)
	sh tools/services.sh > $@.tmp && mv $@.tmp $@

$(BUILD)/gen/faults.c: tools/faults.sh $(SRC)
	@mkdir -p $(@D)
	sh tools/faults.sh $(SRC) > $@.tmp && mv $@.tmp $@

$(BUILD)/libsocle-san.a: $(SAN_O)
	@rm -f $@; ar rcs $@ $^

$(BUILD)/unit/%: $(BUILD)/san/%.o $(BUILD)/libsocle-san.a
	@mkdir -p $(@D)
	$(CC) $(SAN) -o $@ $^ $(LIBS) -lcmocka

# A fuzzer is a libFuzzer entry point; here it is replayed over its corpus by a small driver, so that
# gcc can do it too. `make fuzz NAME=x` runs the real one with clang.
$(BUILD)/fuzz/%: $(BUILD)/san/%.o $(BUILD)/san/tools/fuzz_replay.o $(BUILD)/libsocle-san.a
	@mkdir -p $(@D)
	$(CC) $(SAN) -o $@ $^ $(LIBS)

units: $(UNIT_BIN)
fuzzers: $(FUZZ_BIN)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/rel $(BUILD)/san -name '*.d' 2>/dev/null)
.PHONY: all units fuzzers clean
.DELETE_ON_ERROR:
.SECONDARY:

# ---- the two commands, and their company -----------------------------------------------------------
run:
	@sh tools/install.sh build
	@$(MAKE) --no-print-directory -s -j2 $(BUILD)/socle
	@exec $(BUILD)/socle serve --demo=yes --data '$(DATA)' --port '$(PORT)'

test: test-build
	@node tools/test.mjs $(if $(ONLY),--only=$(ONLY))

test-long: test-build
	@node tools/test.mjs --long $(if $(ONLY),--only=$(ONLY))

test-build:
	@sh tools/install.sh test
	@$(MAKE) --no-print-directory -s -j2 $(BUILD)/socle units fuzzers
	@[ -d test/node_modules ] || (cd test && npm ci --no-audit --no-fund --silent)

bench:
	@sh tools/install.sh bench
	@$(MAKE) --no-print-directory -s -j2 $(BUILD)/socle $(BENCH_BIN)
	@node bench/run.mjs $(NAME)

BENCH_SRC := $(wildcard bench/*.c)
BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(BENCH_SRC))
$(BUILD)/bench/%: $(BUILD)/rel/bench/%.o $(REL_O)
	@mkdir -p $(@D)
	$(CC) $(REL) -o $@ $^ $(LINK) $(LIBS)

rows:
	@node tools/rows.mjs

lint:
	@python3 tools/check-layers
	@for f in tools/check-*; do [ $$f = tools/check-layers ] || $$f || exit 1; done

sbom: $(BUILD)/socle
	@sh tools/sbom.sh > $(BUILD)/sbom.cdx.json && echo "$(BUILD)/sbom.cdx.json"

deb: $(BUILD)/socle
	@sh packaging/deb.sh $(BUILD)/socle

new-service:
	@sh tools/new-service.sh '$(NAME)'

fuzz: # make fuzz NAME=http_request_fuzz SECONDS=60: the real fuzzer, with clang
	@sh tools/fuzz.sh '$(NAME)' '$(SECONDS)'

.PHONY: run test test-long test-build bench rows lint sbom deb new-service fuzz
