// Package compat holds the tests that see Neargate as its clients do: the AWS SDK for Go v2, the `aws` command, and the
// calls in the order in which Terraform makes them (../shared/client-contracts.md).
//
// The servers, the edge and what decides are the real ones, in this process; only what a host does is played, so that
// neither root nor a kernel is needed and each test has a cloud of its own ([newCloud]). What needs packets is told by
// the stories of test/script. Start at sdk_test.go, which calls every operation of internal/awsapi/manifest.txt at least once
// rightly and once wrongly, and demands that none is forgotten.
package compat
