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
	tests  bool // the rule holds for their tests, too
}

func (r rule) covers(short string) bool {
	return below(short, r.of) && !below(short, r.except)
}

func (r rule) forbids(imp string) bool {
	return r.forbid(imp)
}

// longest is how many lines a file may have.
const longest = 600

// vague are names of packages that say nothing of what is in them, so that everything ends up there.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "types", "manager", "managers", "base", "core"}

// wallClock are the functions of package time that read the clock or wait.
var wallClock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// impure are the imports that pure files must not have, with the reason. What lies below a folder of ours counts, too.
var impure = map[string]string{
	"os":                "pure functions read no files",
	"os/exec":           "pure functions run nothing",
	"io/ioutil":         "pure functions read no files",
	"net":               "pure functions dial nothing (net/netip is fine)",
	"net/http":          "pure functions dial nothing",
	"syscall":           "pure functions do not talk to the kernel",
	"math/rand":         "pure functions give one answer: chance is an argument",
	"math/rand/v2":      "pure functions give one answer: chance is an argument",
	"crypto/rand":       "pure functions give one answer: chance is an argument",
	"log/slog":          "pure functions return what there is to say",
	"internal/store":    "pure functions get records as arguments",
	"internal/clock":    "the time is an argument of a pure function",
	"internal/linux":    "pure functions do not talk to the kernel",
	"internal/testkit":  "tests import code, not the other way round",
	"golang.org/x/sys":  "pure functions do not talk to the kernel",
	"internal/archtest": "tests import code, not the other way round",
}

// impurity returns the reason why a pure file must not import path, if there is one.
func impurity(path string) (string, bool) {
	short := strings.TrimPrefix(path, "github.com/neargate/neargate/")
	for folder, why := range impure {
		if short == folder || strings.Contains(folder, "internal/") && below(short, []string{folder}) || folder == "golang.org/x/sys" && below(short, []string{folder}) {
			return why, true
		}
	}
	return "", false
}

// isPure reports whether a file's name promises that it holds pure functions only.
func isPure(file string) bool {
	name := file[strings.LastIndex(file, "/")+1:]
	stage, _, _ := strings.Cut(strings.TrimSuffix(name, ".go"), "_")
	return stage == "compile" || stage == "plan"
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
		of: []string{"internal/fabric", "internal/ruleset"},
		forbid: func(p string) bool {
			return isThirdParty(p) && !ours("internal/model", "internal/ruleset", "internal/fabric")(p) || p == "syscall"
		},
		reason: "the analysis builds on every platform and shares its results with node: it needs records and rules, nothing else",
	},
	{
		of:     []string{"internal/api"},
		forbid: func(p string) bool { return p == "os/exec" || p == "syscall" },
		reason: "api writes records; making them real is node's work",
	},
	{
		of:     []string{"internal/keeper"},
		forbid: ours("internal/model", "internal/store", "internal/proxy"),
		reason: "the keeper outlives the daemon and knows no records: it is told whole objects",
	},
	{
		of:     []string{"internal", "test", "examples"},
		forbid: ours("cmd"),
		reason: "nobody imports cmd",
		tests:  true,
	},
	{
		of:     []string{"internal", "cmd"},
		forbid: ours("test", "examples"),
		reason: "stories use the product, not the other way round",
		tests:  true,
	},
	{
		of:     []string{"internal", "cmd"},
		except: []string{"internal/testkit", "internal/store/storetest", "internal/container/runtimetest"},
		forbid: func(p string) bool { return p == "testing" || ours("internal/testkit", "internal/store/storetest")(p) },
		reason: "the product carries no test code",
	},
	{
		of:     []string{"internal", "cmd"},
		forbid: func(p string) bool { return p == "log" },
		reason: "logs are written with log/slog and a fixed list of keys",
	},
	{
		of:     []string{"internal", "cmd", "test"},
		forbid: theirs("github.com/stretchr/testify", "github.com/onsi", "go.uber.org/mock", "github.com/golang/mock"),
		reason: "tests use the standard library and go-cmp",
		tests:  true,
	},
}

// ours returns a predicate that reports whether a path is one of the module's folders or below one.
func ours(folders ...string) func(string) bool {
	return func(path string) bool {
		short, ok := strings.CutPrefix(path, "github.com/neargate/neargate/")
		return ok && below(short, folders)
	}
}

// theirs is ours for other people's modules.
func theirs(modules ...string) func(string) bool {
	return func(path string) bool { return below(path, modules) }
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
