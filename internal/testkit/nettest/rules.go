package nettest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/neargate/neargate/internal/linux/netns"
)

// LoadRules loads a script with `nft -f` into a new namespace of that name and returns the listing.
func LoadRules(t testing.TB, name, script string) string {
	t.Helper()
	ns := Namespace(t, name)
	path := filepath.Join(t.TempDir(), "table.nft")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	Exec(t, ns, "nft", "-f", path)
	return Rules(t, ns)
}

// Rules returns what `nft` lists in a namespace, one object per line: rules in order, all else sorted, without handles.
func Rules(t testing.TB, ns *netns.Namespace) string {
	t.Helper()
	var doc struct {
		Nftables []map[string]map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(Exec(t, ns, "nft", "-j", "list", "ruleset")), &doc); err != nil {
		t.Fatal(err)
	}
	var lines []string
	rules := map[any]int{}
	for _, item := range doc.Nftables {
		for kind, fields := range item {
			if kind == "metainfo" {
				continue
			}
			delete(fields, "handle")
			if elems, ok := fields["elem"].([]any); ok {
				var texts []string
				for _, e := range elems {
					b, _ := json.Marshal(e)
					texts = append(texts, string(b))
				}
				slices.Sort(texts)
				fields["elem"] = texts
			}
			b, _ := json.Marshal(fields)
			line := kind + " " + string(b)
			if kind == "rule" {
				rules[fields["chain"]]++
				line = fmt.Sprintf("rule %v %04d %s", fields["chain"], rules[fields["chain"]], b)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
