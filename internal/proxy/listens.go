package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// listens reports whether a process has the listening Unix socket of that path open. Two workers have the same one while
// one hands over to the other, and a command goes to whichever accepts first.
func listens(pid int, path string) bool {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", pid))
	if err != nil {
		return false
	}
	links := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		// Num RefCount Protocol Flags Type St Inode Path; flag 0x10000 marks a listener. HAProxy binds a temporary name
		// and renames it, so that the path has a suffix.
		f := strings.Fields(line)
		if len(f) == 8 && f[3] == "00010000" && (f[7] == path || strings.HasPrefix(f[7], path+".")) {
			links["socket:["+f[6]+"]"] = true
		}
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && links[link] {
			return true
		}
	}
	return false
}
