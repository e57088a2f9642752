// Package harness runs the real neargate binary for tests: a daemon with a data directory of its own, SDK clients for it,
// packets from where a story needs them, a load, kill -9, and a teardown that demands that nothing is left on the host.
//
// It is not a model of anything: everything it starts is what users start. It knows no stories (test/script) and no
// operations (test/compat). Start at [Main], which TestMain calls, and at [Daemon].
package harness
