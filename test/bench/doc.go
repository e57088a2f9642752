// Command bench measures Neargate against the same thing without Neargate, prints a table and writes bench.json.
//
// Packets, load balancers and ENIs are measured in namespaces of a child process (sandbox.go), which take everything
// made in them away however it ends. What needs the API is measured on a daemon (daemon.go) that is what users start.
// A ratio is the median over runs, each of which is divided by the baseline's run next to it. docs/design/speed.md says
// what each row means and how its baseline is laid out.
//
// It is not a test: a floor that is missed is printed and does not fail anything. Start at main and at the table of
// benchmarks in suite.go.
package main
