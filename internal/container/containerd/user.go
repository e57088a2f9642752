package containerd

import (
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/neargate/neargate/internal/fault"
)

// maxID is the largest user or group number that we accept (the largest 32-bit number means "no change" to the kernel).
const maxID = 1<<31 - 1

// users are an image's accounts.
type users struct {
	accounts []account
	groups   []group
}

type account struct {
	name     string
	uid, gid uint32
}

type group struct {
	name    string
	gid     uint32
	members []string
}

// parseUsers reads /etc/passwd and /etc/group; lines that make no sense are left out, as libc does.
func parseUsers(passwd, groups string) users {
	var u users
	for _, f := range fields(passwd, 4) {
		uid, err1 := strconv.ParseUint(f[2], 10, 31)
		gid, err2 := strconv.ParseUint(f[3], 10, 31)
		if err1 == nil && err2 == nil {
			u.accounts = append(u.accounts, account{name: f[0], uid: uint32(uid), gid: uint32(gid)})
		}
	}
	for _, f := range fields(groups, 4) {
		gid, err := strconv.ParseUint(f[2], 10, 31)
		if err == nil {
			u.groups = append(u.groups, group{name: f[0], gid: uint32(gid), members: strings.Split(f[3], ",")})
		}
	}
	return u
}

func fields(file string, least int) [][]string {
	var out [][]string
	for _, line := range strings.Split(file, "\n") {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= least && !strings.HasPrefix(f[0], "#") {
			out = append(out, f)
		}
	}
	return out
}

// resolve turns "user", "user:group", each a name or a number, into what the kernel wants. An empty text is root. A
// group that is given leaves no supplementary groups, as with docker.
func (u users) resolve(text string) (specs.User, error) {
	name, groupName, hasGroup := strings.Cut(text, ":")
	if name == "" {
		name = "0"
	}
	out := specs.User{}
	found := account{}
	number, isNumber := id(name)
	known := false
	for _, a := range u.accounts {
		if a.name == name || (isNumber && a.uid == number) {
			found, known = a, true
			break
		}
	}
	switch {
	case known:
		out.UID, out.GID = found.uid, found.gid
	case isNumber:
		out.UID = number
	default:
		return specs.User{}, fault.NewInvalid("user", "unable to find user %s: no matching entries in passwd file", name)
	}
	if !hasGroup || groupName == "" {
		for _, g := range u.groups {
			for _, member := range g.members {
				if known && member == found.name && g.gid != out.GID {
					out.AdditionalGids = append(out.AdditionalGids, g.gid)
				}
			}
		}
		return out, nil
	}
	gid, isNumber := id(groupName)
	for _, g := range u.groups {
		if g.name == groupName {
			out.GID = g.gid
			return out, nil
		}
	}
	if !isNumber {
		return specs.User{}, fault.NewInvalid("user", "unable to find group %s: no matching entries in group file", groupName)
	}
	out.GID = gid
	return out, nil
}

func id(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n <= maxID
}
