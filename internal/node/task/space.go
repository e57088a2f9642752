package task

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	gib = 1 << 30
	// unaskedGiB is what a task has that asks for no ephemeral storage. On a small disk it has less, and starts all the same.
	unaskedGiB = 20
)

// checkSpace refuses a task that asks for more ephemeral storage than the file system of its folder has free. What tasks
// use is not limited: they share the disk of the host.
func checkSpace(askedGiB int, free uint64, dir string) error {
	if askedGiB <= unaskedGiB || free >= uint64(askedGiB)*gib {
		return nil
	}
	return fmt.Errorf("ResourceInitializationError: the task asks for %d GiB of ephemeral storage (ephemeralStorage.sizeInGiB), but %s has only %.1f GiB free: make room there, or ask for less",
		askedGiB, dir, float64(free)/gib)
}

// freeBytes returns how many bytes a folder's file system has free for us.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("look how much of %s is free: %w", dir, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}
