# Where what is built lies: outside the clone, so that a fresh clone is quick.
export JET_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lossless-jet
export CARGO_TARGET_DIR ?= $(JET_CACHE)/target
