package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/neargate/neargate/internal/ruleset"
)

// listTables returns our nftables tables in the namespace that we are in, as "inet neargate". Without nft, or without the
// right to ask, there is nothing to tell.
func listTables() []string {
	out, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return nil
	}
	return ourTables(string(out))
}

// ourTables picks our tables from the output of `nft list tables`.
func ourTables(text string) (tables []string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "table" && (fields[2] == ruleset.TableName || fields[2] == probeTable) {
			tables = append(tables, fields[1]+" "+fields[2])
		}
	}
	return tables
}

func deleteTable(ctx context.Context, table string) error {
	family, name, _ := strings.Cut(table, " ")
	if out, err := exec.CommandContext(ctx, "nft", "delete", "table", family, name).CombinedOutput(); err != nil {
		return fmt.Errorf("delete nftables table %s: %w: %s", table, err, strings.TrimSpace(string(out)))
	}
	return nil
}
