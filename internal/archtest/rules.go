// Package archtest keeps the dependency rules of the house style: who may import whom, which files are pure, and that
// every package says what it is. It has no code to call; its test reads `go list`. A rule that has to change is changed
// here, with its reason, in the same commit as the code that needs it.
package archtest

import "strings"

// rule forbids imports for the packages below one of the folders in of.
type rule struct {
	of     []string // folders inside the module; a package is covered when it is one of them or lies below
	except []string // folders that are not covered after all
	forbid func(path string) bool
	reason string
}

func (r rule) covers(short string) bool {
	return below(short, r.of) && !below(short, r.except)
}

func (r rule) forbids(imp string) bool {
	return r.forbid(imp)
}

// impure are the imports that compile.go and plan.go must not have, with the reason.
var impure = map[string]string{
	"os":             "pure functions read no files",
	"net":            "pure functions dial nothing (net/netip is fine)",
	"net/http":       "pure functions dial nothing",
	"internal/store": "pure functions get records as arguments",
	"internal/clock": "the time is an argument of a pure function",
}

var rules = []rule{
	{
		of:     []string{"internal/model", "internal/fault", "internal/ruleset"},
		forbid: func(p string) bool { return isOurs(p) || isThirdParty(p) },
		reason: "model, fault and ruleset import only the standard library",
	},
	{
		of:     []string{"internal/linux", "internal/proxy", "internal/dns", "internal/container"},
		forbid: ours("internal/model", "internal/store"),
		reason: "mechanisms know no records: node translates",
	},
	{
		of:     []string{"internal", "cmd"},
		except: []string{"internal/api", "internal/wire", "internal/awsapi", "internal/testkit", "cmd"},
		forbid: ours("internal/awsapi"),
		reason: "AWS wire types stay at the edge: only api and wire import awsapi",
	},
	{
		of:     []string{"internal/api"},
		forbid: ours("internal/control", "internal/node", "internal/linux"),
		reason: "api writes records; deciding and making real happen behind the store",
	},
	{
		of:     []string{"internal/control"},
		forbid: ours("internal/node", "internal/linux", "internal/container"),
		reason: "control and node meet only through the store",
	},
	{
		of:     []string{"internal/node"},
		forbid: ours("internal/control"),
		reason: "control and node meet only through the store",
	},
	{
		of:     []string{"internal/fabric", "internal/ruleset"},
		forbid: ours("internal/linux", "internal/node"),
		reason: "the analysis builds on every platform and shares its results with node",
	},
	{
		of:     []string{"internal"},
		forbid: ours("cmd"),
		reason: "nobody imports cmd",
	},
}

// ours returns a predicate that reports whether a path is one of the module's folders or below one.
func ours(folders ...string) func(string) bool {
	return func(path string) bool {
		short, ok := strings.CutPrefix(path, "github.com/neargate/neargate/")
		return ok && below(short, folders)
	}
}

func isOurs(path string) bool { return strings.HasPrefix(path, "github.com/neargate/neargate/") }

// isThirdParty reports whether the first element of an import path is a host name.
func isThirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

func below(short string, folders []string) bool {
	for _, f := range folders {
		if short == f || strings.HasPrefix(short, f+"/") {
			return true
		}
	}
	return false
}
