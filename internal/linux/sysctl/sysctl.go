// Package sysctl sets network parameters of a namespace.
//
// Parameters under /proc/sys/net belong to the namespace of the thread that opens the file, so they are written inside.
// It knows no meaning of any parameter. Start at [Set].
package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Param is one parameter: its path below /proc/sys/net with slashes or dots, and the value. An Optional one may be
// missing from the kernel, or be read-only in an unprivileged user namespace.
type Param struct {
	Name, Value string
	Optional    bool
}

// Set writes the parameters in order inside the namespace.
func Set(ns *netns.Namespace, params []Param) error {
	return ns.Do(func() error {
		for _, p := range params {
			err := os.WriteFile(path(p.Name), []byte(p.Value), 0o644)
			if err != nil && p.Optional && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
				continue
			}
			if err != nil {
				return fmt.Errorf("set net.%s=%s in %s: %w", p.Name, p.Value, ns.Name(), err)
			}
		}
		return nil
	})
}

// Get reads a parameter inside the namespace.
func Get(ns *netns.Namespace, name string) (value string, err error) {
	err = ns.Do(func() error {
		b, err := os.ReadFile(path(name))
		value = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read net.%s in %s: %w", name, ns.Name(), err)
	}
	return value, nil
}

func path(name string) string {
	return filepath.Join("/proc/sys/net", strings.ReplaceAll(name, ".", "/"))
}
