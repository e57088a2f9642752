// Package cli is what the subcommands of neargate do that are clients: deploying a stack, showing what runs, logs, URLs,
// pushing an image, settings for other tools. Each command is a struct with its options and a Run method.
//
// It talks to Neargate through the public AWS API only, with the AWS SDK, and works the same from another machine's point
// of view. It is not the flags (cmd/neargate), not the checks of the host (internal/doctor) and not the protocol of
// `neargate exec` (internal/ctl). Output goes to a [Screen]; errors that people read are made by [Explain].
//
// Start at [Connect] and at the file named after the subcommand.
package cli
