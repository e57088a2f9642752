package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// hostLock is held by the one daemon of a host: VPC namespaces and the edge have fixed names.
const hostLock = "/run/neargate.lock"

// lockHost takes the host's lock, and writes down who has it. The kernel frees it with the process, however that ends.
// `neargate cleanup` removes the file while it holds the lock, so a lock counts only if its file is still at its path.
func lockHost(data string) (*os.File, error) {
	for {
		f, err := tryLockHost(data)
		if err != nil || isAtPath(f, hostLock) {
			return f, err
		}
		_ = f.Close()
	}
}

// isAtPath reports whether an open file is the one that the path names.
func isAtPath(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

func tryLockHost(data string) (*os.File, error) {
	f, err := os.OpenFile(hostLock, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lock of this host: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(hostLock)
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("neargate serve runs already on this machine (%s): stop it first", strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("take the lock of this host: %w", err)
	}
	_ = f.Truncate(0)
	_, _ = fmt.Fprintf(f, "pid %d data %s\n", os.Getpid(), data)
	return f, nil
}

// makeFolders makes the parts of the data directory that the daemon makes itself.
func makeFolders(data string) error {
	for _, dir := range []struct {
		name string
		mode os.FileMode
	}{{"", 0o711}, {"run", 0o711}, {"tasks", 0o711}, {"lb", 0o711}, {"pki", 0o711}, {"keeper", 0o700}, {"etcd", 0o700}, {"registry", 0o700}, {"logs", 0o700}} {
		if err := os.MkdirAll(filepath.Join(data, dir.name), dir.mode); err != nil {
			return fmt.Errorf("make the data directory: %w", err)
		}
	}
	return nil
}
