# A thin front over Meson and Ninja. `make help` lists what there is.
#
# Nothing has to be installed by hand: each target first calls tools/setup, which installs what is
# missing (and says so before), and returns at once when nothing is.

BUILD := build
ASAN := build-asan
FUZZ := build-fuzz
SECONDS := 60
PYTHON := /usr/bin/python3

.DEFAULT_GOAL := weir
.NOTPARALLEL:
.PHONY: help weir run tutorial test test-long quality crash bench bench-log bench-events \
    bench-functions bench-fraud lint fuzz docs fresh clean \
    setup-build setup-run setup-test setup-bench setup-fuzz build-all

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1|/p' Makefile | while IFS='|' read -r name text; do \
	    printf '  make %-9s %s\n' "$$name" "$$text"; done

weir: $(BUILD)/build.ninja ## build build/weir (what plain `make` does)
	@ninja -C $(BUILD) --quiet weir

run: setup-run $(BUILD)/build.ninja ## the fraud pipeline at work: payments decided, whatever is killed; 60 to 90 seconds
	@ninja -C $(BUILD) --quiet weir examples/fraud-worker
	@$(BUILD)/venv/bin/python examples/fraud/run.py

tutorial: setup-run weir ## a first look at the log: Kafka clients, a topic that grows, kill -9
	@$(BUILD)/venv/bin/python examples/tutorial/run.py

test: setup-test build-all ## every test that fits in half an hour; the last line is the count
	@tools/run-tests $(SUITES)

test-long: setup-test build-all ## what make test has no time for: ThreadSanitizer, planted faults, more seeds and kills, all the payments
	@tools/tsan
	@tools/faults build-faults
	@LEDGER_RUNS=30000 $(BUILD)/test/unit/broker/test_broker_ledger_random
	@$(BUILD)/test/crash/kill_sessions --kills 300
	@WIRE_LONG=1 WIRE_KILLS=300 tools/run-tests wire
	@FRAUD_LONG=1 tools/run-tests e2e

quality: setup-test ## how good the fraud example's model is, as its handbook measures it: a minute
	@$(BUILD)/wire/venv/bin/python examples/fraud/data/quality.py

crash: $(BUILD)/build.ninja ## power cuts that nobody has run yet, for SECONDS=60; a failure names its seed
	@ninja -C $(BUILD) --quiet
	@$(BUILD)/test/sim/weir_power --random --seconds $(or $(SECONDS),60)

bench: bench-log bench-events bench-functions bench-fraud ## measure weir beside a floor server and nginx; PEER=kafka: Kafka too

bench-log: $(BUILD)/build.ninja
	@$(if $(findstring kafka,$(PEER)),tools/setup test)
	@ninja -C $(BUILD) --quiet
	@bench/run

bench-events: setup-bench $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet
	@bench/events

bench-functions: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet weir bench/function_worker
	@bench/functions

bench-fraud: setup-run $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet
	@bench/fraud

lint: setup-test ## include layers, house rules, formatting
	@tools/lint

docs: $(BUILD)/build.ninja ## write what in docs/ follows from tables in the code
	@ninja -C $(BUILD) --quiet weir tools/topic-settings tools/fields
	@tools/docs $(BUILD)/weir $(BUILD)/tools/topic-settings $(BUILD)/tools/fields

fuzz: setup-fuzz ## run each fuzz target for SECONDS=60, with clang and libFuzzer
	@[ -f $(FUZZ)/build.ninja ] || CC=clang tools/configure $(FUZZ) -Dfuzz=true \
	    -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
	    '-Dc_args=-fsanitize=fuzzer-no-link -fno-sanitize-recover=all'
	@ninja -C $(FUZZ) --quiet fuzz-targets
	@test/fuzz/run $(SECONDS)

fresh: ## run `make run` and `make test` on a clone in a bare Debian 12 (needs root)
	@tools/fresh

clean: ## remove all build folders
	rm -rf build build-* compile_commands.json

setup-build setup-run setup-test setup-bench setup-fuzz:
	@tools/setup $(subst setup-,,$@)

$(BUILD)/build.ninja: | setup-build
	@tools/configure $(BUILD)
	@ln -sf $(BUILD)/compile_commands.json compile_commands.json

$(ASAN)/build.ninja: | setup-build
	@tools/configure $(ASAN) -Dbuildtype=debugoptimized -Db_sanitize=address,undefined \
	    -Db_lundef=false

build-all: $(BUILD)/build.ninja $(ASAN)/build.ninja
	@ninja -C $(BUILD) --quiet
	@ninja -C $(ASAN) --quiet
